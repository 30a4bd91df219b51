from __future__ import annotations

import inspect
import tomllib

import pytest

from edgeml.core import registry
from edgeml.core.recipe import RECIPES
from edgeml.core.source import FILES
from tests.support.processes import repository


@pytest.mark.parametrize("framework", registry.SOURCES)
def test_sources_resolve(framework: str) -> None:
    module = registry.resolve(registry.SOURCES[framework])
    assert callable(module.open_source)
    assert callable(getattr(module, "save", None)) == (framework not in FILES)
    assert module.SUFFIX.startswith(".")


@pytest.mark.parametrize("route", registry.CONVERTERS, ids="-".join)
def test_converters_resolve(route: tuple[str, str]) -> None:
    convert = registry.resolve(registry.CONVERTERS[route])
    assert list(inspect.signature(convert).parameters) == ["source", "recipe", "job"]


@pytest.mark.parametrize("engine", registry.ENGINES, ids=lambda engine: f"{engine.opener}-{engine.target}")
def test_engines_resolve(engine: registry.Engine) -> None:
    opener = registry.resolve(engine.opener)
    parameters = list(inspect.signature(opener).parameters)
    assert parameters[:2] == ["data", "signature"]
    assert parameters[2:] == ["needs", "decision", "preprocessing", "target", "threads", "allow_fallback"]
    assert opener.engine
    assert opener.family
    assert engine.target in opener.targets


def test_every_format_has_a_route_from_every_framework_and_an_engine() -> None:
    formats = {recipe.format for recipe in RECIPES}
    assert set(registry.CONVERTERS) == {
        (framework, format_)
        for framework in registry.SOURCES
        for format_ in formats
        if framework not in FILES or framework == format_
    }
    assert {engine.format for engine in registry.ENGINES if engine.target == "cpu"} == formats


def test_every_module_belongs_to_an_extra_that_there_is() -> None:
    with (repository() / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    assert set(registry.EXTRA_OF_MODULE.values()) <= set(extras)
    assert {engine.module for engine in registry.ENGINES} <= set(registry.EXTRA_OF_MODULE)


def test_the_tables_cannot_be_changed() -> None:
    for table in (
        registry.SOURCES,
        registry.CONVERTERS,
        registry.EXTRA_OF_MODULE,
        registry.PREPROCESSORS,
    ):
        with pytest.raises(TypeError):
            table["x"] = "y"  # type: ignore[index]
