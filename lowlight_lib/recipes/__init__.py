"""How each system is trained: as the `paper` says, as the `released` code does, or shorter."""

from __future__ import annotations

from importlib import import_module

from ..errors import OptionError
from ..models import SYSTEMS
from .base import PROFILES, Recipe

__all__ = ["PROFILES", "Recipe", "add", "find", "usual"]

_ADDED: dict[tuple[str, str], Recipe] = {}


def find(key: str, profile: str) -> Recipe:
    """The recipe of a system and profile; OptionError lists what there is."""
    found = _of(key)
    if profile not in found:
        raise OptionError(f"unknown profile {profile!r}", todo=f"use {', '.join(found)}")
    return found[profile]


def usual(key: str) -> Recipe:
    """The course's recipe of a system, or the first that it has."""
    found = _of(key)
    return found.get("course") or next(iter(found.values()))


def add(recipe: Recipe) -> None:
    """Make a recipe of your own known; OptionError where its system is unknown."""
    _ = SYSTEMS[recipe.key]
    _ADDED[recipe.key, recipe.profile] = recipe


def _of(key):
    card, found = SYSTEMS[key], {p: r for (k, p), r in _ADDED.items() if k == key}
    if card.network.__module__.startswith(__name__.partition(".")[0] + "."):
        shipped = {r.profile: r for r in import_module(f".{key}", __name__).RECIPES}
        shipped.setdefault("released", shipped["paper"].replace(profile="released"))
        found = shipped | found
    if not found:
        raise OptionError(f"no recipe for {key!r}", todo="add one with recipes.add(recipe)")
    return found
