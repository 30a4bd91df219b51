"""A fixed part of `tests.support.mutated_packages`, whose module runs any number by hand."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeml.core.errors import EdgemlError
from edgeml.core.isolation import Isolation
from edgeml.core.system.limits import Limits
from tests.support.mutated_packages import mutated_manifest, mutated_model, use


@pytest.mark.parametrize(("mutate", "count"), [(mutated_manifest, 400), (mutated_model, 120)])
def test_mutants_raise_only_errors_of_edgeml(
    mutate: Callable[[bytes, int], bytes], count: int, small_package_file: Path, tmp_path: Path
) -> None:
    data, path = small_package_file.read_bytes(), tmp_path / "mutant.edgeml"
    steps: Counter[str] = Counter()
    with Isolation(Limits(300, 20)) as isolation:
        for seed in range(count):
            path.write_bytes(mutate(data, seed))
            with contextlib.suppress(EdgemlError):
                steps.update(use(path, isolation))
    assert steps["open"] > count / 20  # that mutants get far is what makes the others count
    assert steps["run"] > count / 20
