"""What a network is and how it is fed, said once: `Task`, `Spec`, `Card`, and `SYSTEMS`.

Every network has a `Spec` as its attribute `spec`; checkpoints, exported files and engines carry
it, and whoever feeds a network reads it and asks nothing else. A system's `Card` stands in its
model's file, which is imported when somebody asks for it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import OptionError

WHOLE_NETWORK = "network"  # the name of the unit of a network that is exported in one file
if TYPE_CHECKING:  # torch is not loaded to read a card
    from torch import nn

    class Network(nn.Module):
        """What `build` makes: a module that says how it is fed."""

        spec: Spec


class Task(Enum):
    """What goes in and what comes out; the value is a sentence for people."""

    RAW_STILL = "raw still: mosaic (1, H, W) -> sRGB (3, H, W)"
    RAW_VIDEO = "raw video: packed (T, 4, H, W) -> packed (T, 4, H, W)"
    PHOTO = "sRGB still: (3, H, W) -> L (1, H, W), R (3, H, W), X (3, H, W)"

    @property
    def channels(self) -> int:
        """Of an input: 1 of a mosaic, 4 of packed frames, 3 of a photograph."""
        return {Task.RAW_STILL: 1, Task.RAW_VIDEO: 4, Task.PHOTO: 3}[self]


@dataclass(frozen=True)
class Spec:
    """How a network is fed.

    Attributes:
        key: which system it is, a name in `SYSTEMS`.
        task: what it takes and gives.
        channels: of its input.
        multiple: it pads its input to this multiple by itself; tiles align to it.
        halo: pixels of context around a tile: for SID its whole receptive field, so that tiles are
            exact, and LLPackNet and PairLIE too; for REDI less than that, so that they are close
            (see `restore.window`).
        cfa: "Bayer" (RGGB) or "X-Trans", the mosaics it takes.
        amplifies_itself: it takes the mosaic un-amplified.
        trained_on: name of the camera of its training data, where that is known.
        white_balance: (r, g, b) gains of its training data, where they are known.
        options: of the constructor, as `build` was given them; None where it was not `build` that
            made the network, which then cannot be saved.
    """

    key: str
    task: Task
    channels: int = 1
    multiple: int = 1
    halo: int = 0
    cfa: str = "Bayer"
    amplifies_itself: bool = False
    trained_on: str | None = None
    white_balance: tuple[float, float, float] | None = None
    options: dict[str, Any] | None = None

    @property
    def cell(self) -> int | None:
        """Side of the cell that padding repeats; None pads by reflection."""
        return 6 if self.cfa == "X-Trans" else None

    def replace(self, **changes: Any) -> Spec:
        """The same spec with other values."""
        return dataclasses.replace(self, **changes)

    def to_json(self) -> str:
        """As a line of text, for the header of a file."""
        return json.dumps(dataclasses.asdict(self) | {"task": self.task.name})

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """What `to_json` wrote.

        Raises:
            OptionError: it is no spec.
        """
        try:
            fields = json.loads(text)
            fields["task"] = Task[fields["task"]]
            if fields.get("white_balance") is not None:
                fields["white_balance"] = tuple(map(float, fields["white_balance"]))
            known = {f.name for f in dataclasses.fields(cls)}
            return cls(**{k: v for k, v in fields.items() if k in known})
        except (ValueError, TypeError, KeyError, AttributeError) as e:
            raise OptionError(f"is no description of a network ({e})") from e


@dataclass(frozen=True)
class Int8:
    """How a network is quantised to eight bits.

    Attributes:
        side: of the crops that it is calibrated on, in pixels.
        keep: layers that stay in float32, by the beginnings of their names.
    """

    side: int
    keep: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExportUnit:
    """A part of a network that becomes one file: all of it, or a stage.

    Attributes:
        module: in eval mode; takes and gives tensors, and shares the network's weights.
        inputs, channels: names of its inputs in the file, and the channels of each.
        outputs: names of its results in the file.
        multiple: of which height and width have to be multiples.
        draw: (height, width, torch.Generator) -> inputs as they come in use.
        result: what makes the network's own kind of tuple of several results.
    """

    module: Callable
    inputs: tuple[str, ...]
    channels: tuple[int, ...]
    outputs: tuple[str, ...]
    multiple: int
    draw: Callable
    result: Callable | None = None


@dataclass(frozen=True)
class Card:
    """What somebody has to know of a system before using it.

    Attributes:
        key: its name, on the command line and everywhere.
        spec: of the network as it is built without options.
        paper, year, title: where it is from.
        network: its class; the arguments of the constructor are the options of `build`.
        params, effective_params: number of parameters; binary ones counted as 1/32.
        licence: of the method and of the released weights.
        sources: where released weights can be had.
        bench: input shapes that `lowlight bench` times: "full" as the paper does, "medium" what a
            laptop does within a course, "small" to see that it works.
        int8: how it is quantised, or why it is not, in words.
    """

    key: str
    spec: Spec
    paper: str
    year: int
    title: str
    network: Callable[..., nn.Module]
    params: int
    effective_params: int
    licence: str
    sources: tuple[str, ...] = ()
    bench: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    int8: Int8 | str = "not fitted to this network"


class _Systems(Mapping[str, Card]):
    """{key: Card}; a card is read from its model's file when it is asked for."""

    def __init__(self, *names: str) -> None:
        self._cards: dict[str, Card | None] = dict.fromkeys(names)

    def __getitem__(self, key: str) -> Card:
        if key not in self._cards:
            raise OptionError(f"unknown model {key!r}", todo=f"use one of {', '.join(self)}")
        card = self._cards[key]
        if card is None:
            card = self._cards[key] = import_module(f".{key}", __package__).CARD
        return card

    def __contains__(self, key):
        return key in self._cards

    def __iter__(self):
        return iter(self._cards)

    def __len__(self):
        return len(self._cards)

    def add(self, card: Card) -> None:
        if self._cards.get(card.key, card) != card:
            raise OptionError(f"there is a model {card.key!r} already", todo="choose another key")
        self._cards[card.key] = card


SYSTEMS = _Systems("sid", "llpacknet", "redi", "brve", "pairlie")


def add(card: Card) -> None:
    """Make a network of your own a system: every command and test then knows it.

    Raises:
        OptionError: another card has this key.
    """
    SYSTEMS.add(card)


def of_task(task: Task) -> list[str]:
    """The keys of the systems for a task."""
    return [key for key, card in SYSTEMS.items() if card.spec.task is task]


def build(key: str, **options: Any) -> Network:
    """Make the network of a system, freshly initialised.

    Args:
        key: one of `SYSTEMS`.
        options: the constructor's arguments; see the class in the model's file.
    Returns:
        nn.Module in training mode, whose `spec` says how it is fed and how it was built.
    Raises:
        OptionError: unknown key or option.

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


def spec_of(network: object) -> Spec:
    """The spec of a network, or of what was made of one.

    Raises:
        OptionError: it has none, so nobody can say how it is fed.
    """
    spec = getattr(network, "spec", None)
    if not isinstance(spec, Spec):
        raise OptionError(
            "this network does not say how it is fed: it has no spec",
            todo="make it with models.build, or give it one: models.with_spec(network, spec)",
        )
    return spec


def with_spec(network: Callable, spec: Spec | str) -> Callable:
    """A callable with a spec: what any function of tensors needs to be fed as a network is.

    Args:
        network: a callable; one that has a spec already is returned as it is.
        spec: a `Spec`, or the key of a system, whose card has one.
    """
    if isinstance(getattr(network, "spec", None), Spec):
        return network
    return _WithSpec(network, SYSTEMS[spec].spec if isinstance(spec, str) else spec)


class _WithSpec:
    def __init__(self, network, spec):
        self.network, self.spec = network, spec

    def __call__(self, *inputs):
        return self.network(*inputs)


def export_units(network) -> dict[str, ExportUnit]:
    """The parts of a network that become files of their own: {name: unit}.

    A network that is more than one has a method `export_units` that says which; one for raw video
    has a method `stream(stages)` too, which makes a stream (`push`, `close`, `run`) of callables
    named as its units. Any other network is one unit, see `whole_unit`.

    Args:
        network: an nn.Module with a spec, in eval mode.
    Raises:
        OptionError: it has no spec, or is for raw video and does not say what its stages are.
    """
    spec = spec_of(network)
    if hasattr(network, "export_units"):
        return network.export_units()
    if spec.task is Task.RAW_VIDEO:
        raise OptionError(
            f"{spec.key} does not say of which stages it is made",
            todo="run it eager, or give it the methods export_units and stream that Brve has",
        )
    return {WHOLE_NETWORK: whole_unit(network)}


def whole_unit(network) -> ExportUnit:
    """A network as one unit; its outputs are called as the fields of its NamedTuple are."""
    import torch

    spec = spec_of(network)
    side = 2 * max(spec.multiple, 8)
    like = next(network.parameters(), torch.zeros(()))
    with torch.no_grad():
        out = network(torch.zeros(1, spec.channels, side, side).to(like))
    names, result = ("picture",), None
    if not torch.is_tensor(out):
        names = getattr(out, "_fields", tuple(f"output_{i}" for i in range(len(out))))
        result = getattr(out, "_make", tuple)
    inputs = ("image" if spec.task is Task.PHOTO else "mosaic",)
    draw = uniform(spec.channels)
    return ExportUnit(network, inputs, (spec.channels,), names, spec.multiple, draw, result)


def uniform(channels):
    """`ExportUnit.draw` of one input, evenly spread in [0, 1]."""
    import torch

    return lambda h, w, generator: [torch.rand(1, channels, h, w, generator=generator)]
