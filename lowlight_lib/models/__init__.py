"""One paper, one readable file. `build(key)` makes a network, `CARDS[key]` says what it is."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from ..errors import OptionError


@dataclass(frozen=True)
class ModelCard:
    """What somebody has to know of a system before using it.

    Attributes:
        paper, year, title, task: where it is from and what it does.
        params, effective_params: number of parameters; binary ones counted as 1/32.
        multiple: the network pads its input to this multiple by itself; tiles align to it.
        halo: pixels of context around a tile: for SID its whole receptive field, so that tiles are
            exact, and LLPackNet and PairLIE too; for REDI less than that, so that they are close
            (see `tiles.tiles`).
        amplifies_itself: it takes the mosaic un-amplified.
        channels: of an input: 1 of a mosaic, 4 of packed frames, 3 of an sRGB picture.
        licence: of the method and of the released weights.
        checkpoints: where released weights can be had.
    """

    paper: str
    year: int
    title: str
    task: str
    params: int
    effective_params: int
    multiple: int
    halo: int
    amplifies_itself: bool
    licence: str
    checkpoints: tuple[str, ...]
    channels: int = 1


CARDS = {
    "sid": ModelCard(
        paper="Chen, Chen, Xu, Koltun, CVPR 2018",
        year=2018,
        title="Learning to See in the Dark",
        task="raw still: mosaic (1, H, W) -> sRGB (3, H, W)",
        params=7_760_748,
        effective_params=7_760_748,
        multiple=32,
        halo=192,
        amplifies_itself=False,
        licence="method and original code MIT; the released weights are TensorFlow checkpoints",
        checkpoints=("https://github.com/cchen156/Learning-to-See-in-the-Dark",),
    ),
    "llpacknet": ModelCard(
        paper="Lamba, Balaji, Mitra, BMVC 2020",
        year=2020,
        title="Towards Fast and Light-Weight Restoration of Dark Images",
        task="raw still: mosaic (1, H, W) -> sRGB (3, H, W)",
        params=1_170_640,
        effective_params=1_170_640,
        multiple=16,
        halo=368,
        amplifies_itself=False,  # the 2022 form; that of 2020 says True on the network itself
        licence="method and original code MIT",
        checkpoints=("https://github.com/MohitLamba94/LLPackNet",),
    ),
    "redi": ModelCard(
        paper="Lamba, Mitra, CVPR 2021",
        year=2021,
        title="Restoring Extremely Dark Images in Real Time",
        task="raw still: mosaic (1, H, W) -> sRGB (3, H, W)",
        params=784_768,
        effective_params=784_768,
        multiple=32,
        halo=256,
        amplifies_itself=False,
        licence="method patent pending; released weights for non-commercial use only; see NOTICE",
        checkpoints=(
            "https://github.com/MohitLamba94/Restoring-Extremely-Dark-Images-In-Real-Time",
        ),
    ),
    "brve": ModelCard(
        paper="Zhang, Zhang, Yuan, Fu, CVPR 2024",
        year=2024,
        title="Binarized Low-light Raw Video Enhancement",
        task="raw video: packed (T, 4, H, W) -> packed (T, 4, H, W)",
        params=4_508_584,
        effective_params=299_590,
        multiple=8,
        halo=16,
        amplifies_itself=False,
        licence="method and original code MIT",
        checkpoints=("https://github.com/zhanggengchen/BRVE",),
        channels=4,
    ),
    "pairlie": ModelCard(
        paper="Fu, Yang, Tu, Huang, Ding, Ma, CVPR 2023",
        year=2023,
        title="Learning a Simple Low-Light Image Enhancer From Paired Low-Light Instances",
        task="sRGB still: (3, H, W) -> L (1, H, W), R (3, H, W), X (3, H, W)",
        params=341_767,
        effective_params=341_767,
        multiple=1,
        halo=10,  # ten 3x3 convolutions in a row, five of them shared
        amplifies_itself=False,
        licence="none stated by the authors any more, for code and released weights; see NOTICE",
        checkpoints=("https://github.com/zhenqifu/PairLIE",),
        channels=3,
    ),
}

_CLASSES = {
    "sid": "Sid",
    "llpacknet": "LLPackNet",
    "redi": "Redi",
    "brve": "Brve",
    "pairlie": "PairLIE",
}


def build(key, **options):
    """Make the network of a system, freshly initialised.

    Args:
        key: one of `CARDS`.
        options: the constructor's arguments; see the class in the model's file.
    Returns:
        nn.Module in training mode.
    Raises:
        OptionError: unknown key or option.

    >>> sum(p.numel() for p in build("redi").parameters())
    784768
    """
    card(key)
    cls = getattr(import_module(f".{key}", __name__), _CLASSES[key])
    try:
        model = cls(**options)
    except TypeError as e:
        raise OptionError(f"{key} does not take these options: {options} ({e})") from e
    model.built_as = (key, options)  # so that a checkpoint can say what it holds
    return model


def released_name(key):
    """Function: a parameter's name in the authors' files -> its name here."""
    module = import_module(f".{key}", __name__)
    return getattr(module, "rename_released", str)


def card(key) -> ModelCard:
    """`CARDS[key]`, or an OptionError that lists the names there are."""
    if key not in CARDS:
        raise OptionError(f"unknown model {key!r}", todo=f"use one of {', '.join(CARDS)}")
    return CARDS[key]
