"""Short forms of the arguments of `build`: a goal as a dict, recipes as text."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from edgeml.core.errors import InputError
from edgeml.core.goal import Goal, check_goal, parse_share
from edgeml.core.recipe import RECIPES, Recipe, find_recipe

__all__ = ["convert_goal", "select_recipes"]


def convert_goal(goal: object) -> Goal:
    """Return a goal from its short forms.

    Args:
        goal: A `Goal`; a mapping from its fields, for instance ``{"max_drop": 0.01}``, where a share may also be text
            such as ``"1%"``; or None for the default goal.

    Raises:
        InputError: The goal is of another type, has an unknown field or a wrong value, or its `max_drop` is 0.5 or
            more: it is a share, so that one percentage point is 0.01.
    """
    if goal is None:
        return Goal()
    if isinstance(goal, Mapping):
        goal = _convert_fields(goal)
    if not isinstance(goal, Goal):
        raise InputError(
            f"goal: expected a Goal or a dict, got {type(goal).__name__}.", fix="write goal={'max_drop': 0.01}."
        )
    check_goal(goal)
    return goal


def _convert_fields(fields: Mapping[Any, Any]) -> Goal:
    known = Goal.__struct_fields__
    for key in fields:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            raise InputError(f"goal: unknown key {key!r}.", fix=f"{hint}the keys are {', '.join(known)}.")
    values = {key: _share(key, value) for key, value in fields.items()}
    try:
        return msgspec.convert(values, type=Goal)
    except msgspec.ValidationError as error:
        raise InputError(f"goal: {error}.") from error


def _share(key: str, value: object) -> object:
    """Return the number that a text such as ``1%`` stands for, and numpy's numbers as Python's."""
    if key in {"max_drop", "min_agreement"} and isinstance(value, str):
        try:
            return parse_share(value)
        except InputError as error:
            raise InputError(f"goal: {key} is {value!r}, expected a number such as 0.01 or '1%'.") from error
    item = getattr(value, "item", None)
    return item() if callable(item) else value


def select_recipes(recipes: str | Iterable[str] | None) -> tuple[Recipe, ...]:
    """Return the recipes of a build.

    Args:
        recipes: One name, several names, or None for all recipes.

    Raises:
        InputError: No recipe is named, a name is unknown, or a name is listed twice.
    """
    if recipes is None:
        return RECIPES
    names = [recipes] if isinstance(recipes, str) else list(recipes)
    if not names:
        raise InputError("recipes is empty.", fix="leave it out for all recipes.")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"recipes: {name!r} is listed twice.")
    return tuple(find_recipe(name) for name in names)
