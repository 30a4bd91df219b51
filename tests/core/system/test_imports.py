from __future__ import annotations

import math
import os.path

import pytest

from edgeml.core.errors import InputError
from edgeml.core.system.imports import resolve


def test_a_name_is_of_a_module_or_of_its_attribute() -> None:
    assert resolve("math") is math
    assert resolve("os.path") is os.path
    assert resolve("math:sqrt") is math.sqrt
    assert resolve("edgeml.core.errors:InputError") is InputError


def test_a_name_of_nothing() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        resolve("no_such_module:name")
    with pytest.raises(ModuleNotFoundError, match=r"edgeml\.core\.no_such_module"):
        resolve("edgeml.core.no_such_module")
    with pytest.raises(AttributeError, match="no_such_name"):
        resolve("math:no_such_name")
