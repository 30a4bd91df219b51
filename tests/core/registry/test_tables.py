from __future__ import annotations

import inspect
import tomllib

import pytest

from edgeml.core.recipe import RECIPES
from edgeml.core.registry.tables import CONVERTERS, ENGINES, SOURCES, Engine
from edgeml.core.source import FILES
from edgeml.core.system.imports import EXTRA_OF_MODULE, resolve
from tests.support.processes import repository


@pytest.mark.parametrize("framework", SOURCES)
def test_sources_resolve(framework: str) -> None:
    module = resolve(SOURCES[framework])
    assert callable(module.open_source)
    assert callable(getattr(module, "save", None)) == (framework not in FILES)
    assert module.SUFFIX.startswith(".")


@pytest.mark.parametrize("route", CONVERTERS, ids="-".join)
def test_converters_resolve(route: tuple[str, str]) -> None:
    convert = resolve(CONVERTERS[route])
    assert list(inspect.signature(convert).parameters) == ["source", "recipe", "job"]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: f"{engine.adapter}-{engine.target}")
def test_engines_resolve(engine: Engine) -> None:
    adapter = resolve(engine.adapter)
    parameters = inspect.signature(adapter).parameters
    assert list(parameters) == ["data", "signature", "needs", "target", "threads"]
    assert [name for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY] == ["needs", "target", "threads"]
    assert adapter.name
    assert adapter.family
    assert engine.target in adapter.targets


def test_every_format_has_a_route_from_every_framework_and_an_engine() -> None:
    formats = {recipe.format for recipe in RECIPES}
    assert set(CONVERTERS) == {
        (framework, format_)
        for framework in SOURCES
        for format_ in formats
        if framework not in FILES or framework == format_
    }
    assert {engine.format for engine in ENGINES if engine.target == "cpu"} == formats


def test_every_module_belongs_to_an_extra_that_there_is() -> None:
    with (repository() / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    assert set(EXTRA_OF_MODULE.values()) <= set(extras)
    assert {engine.module for engine in ENGINES} <= set(EXTRA_OF_MODULE)


def test_the_tables_cannot_be_changed() -> None:
    for table in (
        SOURCES,
        CONVERTERS,
        EXTRA_OF_MODULE,
    ):
        with pytest.raises(TypeError):
            table["x"] = "y"  # type: ignore[index]
