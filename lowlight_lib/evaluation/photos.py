"""Test PairLIE on LOL: scores in named protocols, and the light, the paint and the noise to see."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path

import numpy as np
import torch

from .. import models, recipes
from ..blocks.retinex import recompose
from ..data import open_dataset
from ..data.photos import photos_in
from ..errors import DataError, OptionError, ShapeError
from ..io.files import atomic_write, write_picture
from ..io.movies import make_folder
from ..io.pictures import read_photo
from ..restore.still import PHOTO_TILE, as_photo, check_gamma, run
from ..training import distributed
from .metrics import find_protocol, score
from .stills import SCORES, computed_by, mean, prepare, publish, read_rows, weights_id


def test_photos(
    key,
    data_root,
    run_dir,
    checkpoint=None,
    network=None,
    dataset="lol",
    split="test",
    protocol="default",
    amplification="ratio",
    *,
    profile=None,
    seconds_train=None,
    limit=None,
    pictures=True,
    progress=True,
    device="auto",
    gamma=None,
    predictions=None,
    save_path=None,
) -> list[dict]:
    """Score a system, or pictures made elsewhere, on photographs with a well exposed counterpart.

    The baseline is the dark picture itself, by the same protocol. Of several processes (see
    `distributed`) each takes its share of the pictures, and the first writes results.json.

    Args:
        key, data_root, run_dir, checkpoint, split, profile, seconds_train, limit, device: as in
            `evaluate.test`.
        network: a callable (1, 3, H, W) -> (L, R) or (L, R, X), or a brightened picture, instead
            of a checkpoint.
        dataset: "lol".
        protocol: "pairlie_released", "pairlie_vendor" or one of those for stills; see
            `metrics.PROTOCOLS`. It brings a gamma along.
        amplification: of raw data; here none but the default.
        pictures: write NAME_input.png, NAME_result.png and NAME_target.png, and as PairLIE's
            released script does NAME.png in I/ (the result), L/ (the light, grey), R/ (the paint)
            and D/ (the removed noise), truncated to 8 bits. D is the dark picture minus X; below 0
            it wraps round there, -1/255 to 255, so its bytes, read as signed, are the difference.
        gamma: the result is L^gamma R; by default the protocol's.
        predictions: a folder of pictures made elsewhere, instead of a checkpoint: for each dark
            NAME.png a NAME.png (or another format) or NAME.npz, see `read_prediction`.
        save_path: where pictures go; default `run_dir/pictures`.
    Returns:
        The row, in a list: as of stills, with "gamma", and "predictions" for pictures from
        elsewhere. "amplification" is None.
    Raises:
        OptionError, DataError, ShapeError, CheckpointError, OutputError: as the names say; then
            results.json is as it was.
    Source: Fu et al., CVPR 2023, released code.
    """
    from tqdm.auto import tqdm

    distributed.join()
    how = find_protocol(protocol, "photographs")
    gamma = how.gamma if gamma is None else gamma
    check_gamma(gamma)
    if amplification != "ratio":
        todo = "leave amplification out; gamma says how bright"
        raise OptionError("photographs are not amplified", todo=todo)
    results, trained = Path(run_dir) / "results.json", {}
    if predictions is None:
        network, trained = prepare(key, results, checkpoint, network, limit, device)
    elif checkpoint is not None or network is not None:
        raise OptionError("predictions are pictures already", todo="give no weights with them")
    else:
        read_rows(results)  # an error now, and not after the work
    data = open_dataset(recipes.find(key, "course").replace(dataset=dataset), data_root, split)
    make_folder(run_dir)
    folder = Path(save_path or Path(run_dir) / "pictures")
    count = len(data) if limit is None else min(limit, len(data))
    names = [scene.name for scene in data.pairs[:count]]
    found = {} if predictions is None else _find(Path(predictions), names)
    per_image = []
    for i in tqdm(
        distributed.share(count),
        desc=f"test {key} ({how.name})",
        disable=not (progress and distributed.is_first()),
    ):
        name, low, high = names[i], data.input(i), data.target(i)
        began = time.perf_counter()
        if found:
            views = {"I": read_prediction(found[name], gamma)}
        else:
            views = decompose_photo(network, low, key)
            views["I"] = recompose_photo(views, gamma)
        seconds = time.perf_counter() - began
        try:
            scores = (*score(views["I"], high, how.name), *score(low, high, how.name))
        except ShapeError as e:
            raise ShapeError(e.what, file=found.get(name, data.file(i))) from e
        row = {"name": name} | dict(zip(SCORES, scores, strict=True))
        per_image.append(row | {"seconds": seconds})
        if pictures:
            _write(folder, name, views | {"input": low, "target": high})
    per_image = distributed.gather(per_image)
    row = {
        "model": key,
        "dataset": dataset,
        "split": split,
        "profile": profile or trained.get("profile"),
        "checkpoint": None if checkpoint is None else Path(checkpoint).name,
        "weights": weights_id(checkpoint),
        "predictions": None if predictions is None else Path(predictions).name,
        "limit": limit,
        "images": len(per_image),
        **{k: mean(r[k] for r in per_image) for k in SCORES},
        "amplification": None,
        "gamma": float(gamma),
        "protocol": how.name,
        "seconds_train": seconds_train or trained.get("seconds_train"),
        "seconds_per_image": mean(r["seconds"] for r in per_image),
        **computed_by(network),
    }
    return publish(results, row, per_image)


test_photos.__test__ = False  # pytest collects what is called test, wherever it finds it


def decompose_photo(network, image, key="pairlie", tile=PHOTO_TILE) -> dict[str, np.ndarray]:
    """What a network splits a photograph into, in tiles that see all they need.

    Args:
        network: as of `test_photos`.
        image: a path, or an array (H, W, 3).
    Returns:
        float32 arrays by name: "L" (H, W, 1), "R" and "X" (H, W, 3), and "D" = image - X; without
        "X" and "D" for a network that gives two, and "I" alone for one that gives a picture.
    """
    picture, finished = as_photo(image), []

    def joined(split):
        finished.append(torch.is_tensor(split))
        return split if finished[-1] else torch.cat(list(split)[:3], 1)

    x = torch.from_numpy(picture).permute(2, 0, 1)[None]
    network = models.with_spec(network, key)
    y = run(network, x, tile=tile, finish=joined)[0].permute(1, 2, 0).numpy()
    if finished[-1]:
        return {"I": y}
    views = {"L": y[..., :1], "R": y[..., 1:4]}
    return views if y.shape[-1] == 4 else views | {"X": y[..., 4:], "D": picture - y[..., 4:]}


def recompose_photo(views, gamma) -> np.ndarray:
    """The brightened picture (H, W, 3) of what `decompose_photo` gives."""
    return (views["I"] if "I" in views else recompose(views["L"], views["R"], gamma)).clip(0, 1)


def read_prediction(path, gamma=0.2) -> np.ndarray:
    """A picture made elsewhere: float32 (H, W, 3) in [0, 1].

    Args:
        path: a photograph, or a .npz with one array, the picture, or with two, L and R: called so,
            or output_0 and output_1, as tools for accelerators call what a network puts out. The
            arrays are (H, W, C) or (C, H, W), with or without a first axis of 1; floats in about
            [0, 1], which are clipped, or unsigned integers.
        gamma: of L and R.
    Raises:
        DataError: it is none of these.
    """
    path = Path(path)
    if path.suffix.lower() != ".npz":
        return read_photo(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as e:
        raise DataError(f"cannot be read as npz ({e})", file=path, todo="save it again") from e
    pair = next((p for p in (("L", "R"), ("output_0", "output_1")) if {*p} <= {*arrays}), None)
    if pair:
        L, R = (_pixels(arrays[n], c, path) for n, c in zip(pair, (1, 3), strict=True))
        if L.shape[:2] == R.shape[:2]:
            return recompose(L, R, gamma).clip(0, 1)
    elif len(arrays) == 1:
        return _pixels(*arrays.values(), 3, path)
    inside = ", ".join(f"{n} {a.shape}" for n, a in arrays.items()) or "nothing"
    todo = "keep one picture in it, or L and R of one size"
    raise DataError(f"holds {inside}", file=path, todo=todo)


def _pixels(a, channels, path):
    """float32 (H, W, channels) in [0, 1]."""
    a = a[0] if a.ndim == 4 and len(a) == 1 else a
    a = a[..., None] if a.ndim == 2 and channels == 1 else a
    if a.ndim == 3 and a.shape[-1] != channels and a.shape[0] == channels:
        a = a.transpose(1, 2, 0)
    if a.ndim != 3 or a.shape[-1] != channels or a.dtype.kind not in "uf" or not a.size:
        what = f"holds {a.dtype} {a.shape}, not a picture of {channels} channels"
        raise DataError(what, file=path, todo="save floats in [0, 1], or unsigned integers")
    if a.dtype.kind == "u":
        return a.astype(np.float32) / np.float32(np.iinfo(a.dtype).max)
    if not (np.isfinite(a).all() and a.max() < 2):  # networks overshoot, but not to 255
        what = f"holds values from {a.min():g} to {a.max():g}, not 0 to 1"
        raise DataError(what, file=path, todo="divide by 255, or save unsigned integers")
    return a.astype(np.float32).clip(0, 1)


def _find(folder, names):
    """{name: the file of that name in a folder of predictions}; DataError where one lacks."""
    if not folder.is_dir():
        raise DataError("is no folder", file=folder, todo="check --predictions")
    there = {}
    for path in (*photos_in(folder), *sorted(folder.glob("*.npz"))):
        if path.stem in there and path.stem in names:
            raise DataError(f"is there as {there[path.stem].name} too", file=path, todo="keep one")
        there[path.stem] = path
    lacking = [n for n in names if n not in there]
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        raise DataError(
            f"has no picture called {', '.join(lacking[:3])}{more}",
            file=folder,
            todo="name each after its dark picture: 1.png or 1.npz for low/1.png",
        )
    return {n: there[n] for n in names}


def _write(folder, name, views):
    for view, of in (("input", "input"), ("result", "I"), ("target", "target")):
        write_picture(folder / f"{name}_{view}.png", views[of])
    for view in "ILRD":
        if view in views:
            _write_as_released(folder / view / f"{name}.png", views[view])


def _write_as_released(path, values):
    """Floats (H, W, 1 or 3) as 8-bit PNG, as its authors' tool does: towards 0, modulo 256."""
    import imageio.v3 as iio

    pixels = (np.trunc(values * np.float32(255)).astype(np.int64) % 256).astype(np.uint8)
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    data = iio.imwrite("<bytes>", pixels, extension=".png")
    with atomic_write(path) as f:
        f.write(data)
