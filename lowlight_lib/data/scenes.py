"""Scenes to photograph: the photographs that well-known packages ship, dead leaves, or a folder.

Training and testing never share a photograph (both eyes of the stereo pair count as one), no face
is trained on, and the three scientific images are only trained on.
"""

import math
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from ..errors import DataError, OptionError
from ..io.files import files_in
from ..io.pictures import PHOTOS, read_photo

TRAIN = ("chelsea", "motorcycle_left", "motorcycle_right", "flower", "retina", "hubble", "ihc")
VAL = ("coffee", "rocket")
TEST = ("astronaut", "grace_hopper", "china")
LONGEST_SIDE = 768  # pixels; larger photographs are reduced, which also hides their JPEG artefacts
MOST_PIXELS = 3_000_000  # of a file's, before it is reduced as well


def photograph(name: str | Path) -> np.ndarray:
    """One of TRAIN, VAL or TEST, "leaves_N", dead leaves of seed N, or the Path of a picture.

    float32 (H, W, 3) in [0, 1], display-encoded, H and W even, at most LONGEST_SIDE or MOST_PIXELS;
    OptionError for another name, DataError for a file that is no picture.
    """
    if isinstance(name, Path):
        picture = read_photo(name)
        factor = math.ceil((picture[..., 0].size / MOST_PIXELS) ** 0.5)
    elif name.startswith("leaves_"):
        return dead_leaves(int(name.removeprefix("leaves_")))
    else:
        picture = np.asarray(_load(name))[..., :3].astype(np.float32) / 255
        factor = -(-max(picture.shape[:2]) // LONGEST_SIDE)
    if factor > 1:
        h, w = (s // factor for s in picture.shape[:2])
        blocks = picture[: h * factor, : w * factor].reshape(h, factor, w, factor, 3)
        picture = blocks.mean((1, 3))
    h, w = (s // 2 * 2 for s in picture.shape[:2])
    return picture[:h, :w]


def split_photographs(folder) -> dict[str, list[Path]]:
    """The pictures of a folder by split, in natural order.

    Those of its train/ and test/, or, where it has none of these, a fifth of it for testing; an
    eighth of the training part is "val": drawn at random, always the same. DataError: too few.
    """
    train, test = (files_in(Path(folder, part), PHOTOS) for part in ("train", "test"))
    if not train + test:
        train, test = _draw(files_in(folder, PHOTOS), 5)
    train, val = _draw(train, 8)
    if not (val and test):
        todo = "put four pictures or more into it, or into train/ and test/ below it"
        raise DataError("is not there, or holds too few pictures", file=folder, todo=todo)
    return {"train": train, "val": val, "test": test}


def _draw(files, every):
    """(the rest, one of so many), of the latter at least one where two are there."""
    count = -(-len(files) // every) if len(files) > 1 else 0
    drawn = {*np.random.default_rng(0).permutation(len(files))[:count].tolist()}
    return [[f for i, f in enumerate(files) if (i in drawn) is wanted] for wanted in (False, True)]


def _load(name):
    if name in ("china", "flower"):
        from sklearn.datasets import load_sample_image

        return load_sample_image(f"{name}.jpg")
    if name == "grace_hopper":
        import imageio.v3 as iio
        from matplotlib.cbook import get_sample_data

        with cast(BinaryIO, get_sample_data("grace_hopper.jpg")) as f:
            return iio.imread(f)
    if name not in TRAIN + VAL + TEST:
        raise OptionError(f"unknown photograph {name!r}", todo=f"use {TRAIN + VAL + TEST}")
    from skimage import data

    if name.startswith("motorcycle_"):
        return data.stereo_motorcycle()[name == "motorcycle_right"]
    longer = {"hubble": "hubble_deep_field", "ihc": "immunohistochemistry"}
    return getattr(data, longer.get(name, name))()


def dead_leaves(seed, shape=(384, 512), leaves=1200) -> np.ndarray:
    """A picture of discs that hide each other, with the edge statistics of natural scenes: float32
    (H, W, 3) in [0, 1], display-encoded; radii follow r^-3 between 4 and 120 pixels.

    Source: Lee, Mumford & Huang, "Occlusion Models for Natural Images", IJCV 2001.
    """
    rng = np.random.default_rng([seed, 1000])
    h, w = shape
    picture = np.empty((h, w, 3), np.float32)
    picture[:] = rng.uniform(0.1, 0.6, 3)
    small, large = 4.0, 120.0
    for u in rng.random(leaves):
        r = (small**-2 + u * (large**-2 - small**-2)) ** -0.5  # inverse of the r^-3 distribution
        y, x = rng.uniform(-r, h + r), rng.uniform(-r, w + r)
        y0, y1 = int(max(0, y - r)), int(min(h, y + r + 1))
        x0, x1 = int(max(0, x - r)), int(min(w, x + r + 1))
        dy, dx = np.mgrid[y0:y1, x0:x1].astype(np.float32)
        inside = (dy - y) ** 2 + (dx - x) ** 2 <= r * r
        grey = rng.beta(1.2, 1.8)
        colour = np.clip(grey + rng.normal(0, 0.16, 3), 0.01, 1)
        slope = rng.uniform(-0.4, 0.4, 2) / r
        shade = 1 + slope[0] * (dy - y) + slope[1] * (dx - x)
        grain = 1 + rng.uniform(0, 0.12) * rng.standard_normal(dy.shape)
        leaf = np.clip(colour * (shade * grain)[..., None], 0, 1)
        picture[y0:y1, x0:x1][inside] = leaf[inside]
    return picture
