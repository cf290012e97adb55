"""One paper, one readable file. `build(key)` makes a network, `SYSTEMS[key]` says what it is."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import OptionError
from .spec import WHOLE_NETWORK, Card, ExportUnit, Spec, Task, export_units, spec_of

if TYPE_CHECKING:
    from .spec import Network as Network

__all__ = ["SYSTEMS", "WHOLE_NETWORK", "Card", "ExportUnit", "Spec", "Task", "add", "build"]
__all__ += ["export_units", "of_task", "spec_of", "with_spec"]


class _Systems(UserDict[str, Any]):
    """{key: Card}; a card is read from its model's file when it is asked for, None before."""

    def __getitem__(self, key: str) -> Card:
        if key not in self.data:
            raise OptionError(f"unknown model {key!r}", todo=f"use one of {', '.join(self)}")
        self.data[key] = self.data[key] or import_module(f".{key}", __name__).CARD
        return self.data[key]

    def add(self, card: Card) -> None:
        """Make a network of your own a system: every command and test then knows it.

        OptionError where another card has this key.
        """
        if card.key in self and self[card.key] != card:
            raise OptionError(f"there is a model {card.key!r} already", todo="choose another key")
        self.data[card.key] = card


SYSTEMS = _Systems(sid=None, llpacknet=None, redi=None, brve=None, pairlie=None)
add = SYSTEMS.add


def of_task(task: Task) -> list[str]:
    """The keys of the systems for a task."""
    return [key for key, card in SYSTEMS.items() if card.spec.task is task]


def build(key: str, **options: Any) -> Network:
    """Make the network of a system, freshly initialised, in training mode.

    The options are the constructor's arguments; OptionError for an unknown key or option.

    >>> sum(p.numel() for p in build("redi").parameters())
    784768
    """
    card = SYSTEMS[key]
    try:
        network: Any = card.network(**options)
    except TypeError as e:
        raise OptionError(f"{key} does not take these options: {options} ({e})") from e
    network.spec = getattr(network, "spec", card.spec).replace(options=options)
    return network


def with_spec(network: Callable, spec: Spec | str) -> Callable:
    """A function of tensors, to be fed as the network of this spec, or of the system of this key;
    one that has a spec already is returned as it is.
    """
    if isinstance(getattr(network, "spec", None), Spec):
        return network
    fed: Any = partial(network)
    fed.spec = SYSTEMS[spec].spec if isinstance(spec, str) else spec
    return fed
