"""What a network is and how it is fed, said once: `Task`, `Spec`, `Card`, and `SYSTEMS`.

Every network has a `Spec` as its attribute `spec`; checkpoints, exported files and engines carry
it, and whoever feeds a network reads it and asks nothing else.
"""

from __future__ import annotations

import dataclasses
import json
from collections import UserDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import LowlightError, OptionError

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
        """Of an input."""
        return {Task.RAW_STILL: 1, Task.RAW_VIDEO: 4, Task.PHOTO: 3}[self]


@dataclass(frozen=True)
class Spec:
    """How a network is fed.

    Attributes:
        key: which system it is, a name in `SYSTEMS`.
        channels: of its input.
        multiple: it pads its input to this multiple by itself; tiles align to it.
        halo: pixels of context around a tile: the receptive field, so that tiles are exact, or for
            REDI less, so that they are close (see `restore.window`).
        cfa: "Bayer" (RGGB) or "X-Trans", the mosaics it takes.
        amplifies_itself: it takes the mosaic un-amplified.
        trained_on, white_balance: camera of its training data and their (r, g, b) gains, or None.
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
        return dataclasses.replace(self, **changes)

    def to_json(self) -> str:
        """As a line of text, for the header of a file."""
        return json.dumps(dataclasses.asdict(self) | {"task": self.task.name})

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """What `to_json` wrote; OptionError for any other text."""
        try:
            fields = json.loads(text)
            fields["task"] = Task[fields["task"]]
            if fields.get("white_balance") is not None:
                fields["white_balance"] = tuple(map(float, fields["white_balance"]))
            known = {f.name for f in dataclasses.fields(cls)}
            spec = cls(**{k: v for k, v in fields.items() if k in known})
            sizes = (spec.channels, 1), (spec.multiple, 1), (spec.halo, 0)
            gains, options = spec.white_balance, spec.options
            sound = (
                isinstance(spec.key, str)
                and all(type(n) is int and least <= n <= _LARGEST for n, least in sizes)
                and spec.cfa in ("Bayer", "X-Trans")
                and isinstance(spec.amplifies_itself, bool)
                and isinstance(spec.trained_on, str | None)
                and (gains is None or [1e-6 < gain < 1e6 for gain in gains] == [True] * 3)
                and (options is None or all(map(_is_option, options.values())))
            )
            if not sound:
                raise ValueError(text)
            return spec
        except Exception as e:  # whatever an edited file makes of this
            raise OptionError(f"is no description of a network ({e!s:.200})") from e


_LARGEST = 2048  # number in a description: more take long to build even without memory


def _is_option(value):
    values = value if isinstance(value, list) else [value]
    numbers = [abs(v) for v in values if isinstance(v, int | float)]
    plain = all(isinstance(v, int | float | str | None) for v in values)
    return plain and len(values) <= 64 and sum(numbers) <= _LARGEST


@dataclass(frozen=True)
class Int8:
    """How a network is quantised to eight bits."""

    side: int  # of the crops for calibration
    keep: tuple[str, ...] = ()  # the layers whose names begin so stay in float32


@dataclass(frozen=True)
class ExportUnit:
    """A part of a network that becomes one file: all of it, or a stage."""

    module: Callable  # in eval mode; takes and gives tensors, and shares the network's weights
    inputs: tuple[str, ...]  # their names in the file
    channels: tuple[int, ...]  # of each input
    outputs: tuple[str, ...]  # names of its results in the file
    multiple: int  # of height and width
    draw: Callable  # (height, width, torch.Generator) -> inputs as they come in use
    result: Callable | None = None  # makes the network's own kind of tuple of several results


@dataclass(frozen=True)
class Card:
    """What somebody has to know of a system before using it."""

    key: str  # its name, on the command line and everywhere
    spec: Spec  # of the network as it is built without options
    paper: str
    year: int
    title: str
    network: Callable[..., nn.Module]  # its class, whose arguments are the options of `build`
    params: int
    effective_params: int  # binary ones counted as 1/32
    licence: str  # of the method and of the released weights
    sources: tuple[str, ...] = ()  # where released weights can be had
    # Input shapes that are timed: "full" as in the paper, "medium" for laptops, "small" for tests.
    bench: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    int8: Int8 | str = "not fitted to this network"  # how it is quantised, or why it is not


def spec_of(network: object) -> Spec:
    """The spec of a network, or of what was made of one; OptionError where it has none."""
    if not isinstance(spec := getattr(network, "spec", None), Spec):
        what = "this network does not say how it is fed: it has no spec"
        raise OptionError(what, todo="use models.build, or models.with_spec(network, spec)")
    return spec


def export_units(network) -> dict[str, ExportUnit]:
    """The parts of a network, in eval mode, that become files of their own: {name: unit}.

    A network that is more than one has a method `export_units`; one for raw video has to, and
    `stream(stages)` too, which makes a stream (`push`, `close`, `run`) of callables named as its
    units. OptionError where they lack.
    """
    spec = spec_of(network)
    if hasattr(network, "export_units"):
        return network.export_units()
    if spec.task is Task.RAW_VIDEO:
        todo = "run it eager, or give it the methods export_units and stream that Brve has"
        raise OptionError(f"{spec.key} does not say of which stages it is made", todo=todo)
    return {WHOLE_NETWORK: whole_unit(network)}


def whole_unit(network) -> ExportUnit:
    """A network as one unit; its outputs are called as the fields of its NamedTuple are."""
    import torch

    spec = spec_of(network)
    side = 2 * max(spec.multiple, 8)
    like = next(network.parameters(), torch.zeros(()))
    with torch.no_grad():
        out = network(torch.zeros(1, spec.channels, side, side).to(like))
    outputs, result = ("picture",), None
    if not torch.is_tensor(out):
        outputs = getattr(out, "_fields", tuple(f"output_{i}" for i in range(len(out))))
        result = getattr(out, "_make", tuple)
    inputs, c = ("image" if spec.task is Task.PHOTO else "mosaic",), spec.channels
    return ExportUnit(network, inputs, (c,), outputs, spec.multiple, uniform(c), result)


def uniform(channels):
    """`ExportUnit.draw` of one input, evenly spread in [0, 1]."""
    import torch

    return lambda h, w, generator: [torch.rand(1, channels, h, w, generator=generator)]


class _Systems(UserDict[str, Any]):
    """{key: Card}; a card is read from its model's file when it is asked for, None before."""

    def __getitem__(self, key: str) -> Card:
        if key not in self.data:
            raise OptionError(f"unknown model {key!r}", todo=f"use one of {', '.join(self)}")
        self.data[key] = self.data[key] or import_module(f".{key}", __package__).CARD
        return self.data[key]

    def add(self, card: Card) -> None:
        """Make a network of your own a system: every command and test then knows it. OptionError
        where another card has this key."""
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
    except LowlightError:
        raise
    except (TypeError, ValueError, RuntimeError, ArithmeticError, LookupError, MemoryError) as e:
        raise OptionError(f"{key} does not take these options: {options!s:.200} ({e})") from e
    network.spec = getattr(network, "spec", card.spec).replace(options=options)
    return network


def with_spec(network: Callable, spec: Spec | str) -> Callable:
    """A function of tensors, to be fed as the network of this spec, or of the system of this key;
    one that has a spec already is returned as it is."""
    if isinstance(getattr(network, "spec", None), Spec):
        return network
    fed: Any = partial(network)
    fed.spec = SYSTEMS[spec].spec if isinstance(spec, str) else spec
    return fed
