"""Data sets of a few small frames in the published layouts, for tests without photographs."""

import dataclasses

import numpy as np

from lowlight_lib.sensor import cfa, colorimetry, isp, noise
from lowlight_lib.sensor.raw import RawImage, write_dng

CAMERA = noise.SONY_A7S2


def picture(seed, shape):
    """Smooth colours with some edges: (H, W, 3) in [0, 1]."""
    h, w = shape
    y, x = np.mgrid[0:h, 0:w] / max(h, w)
    rng = np.random.default_rng(seed)
    waves = [np.sin(7 * rng.random() * x + 9 * rng.random() * y + 6 * rng.random()) for _ in "rgb"]
    base = 0.5 + 0.3 * np.stack(waves, -1)
    base[h // 4 : h // 2, w // 3 : w // 2] *= 0.4
    return np.clip(base, 0, 1).astype(np.float32)


def make_sid(root, scenes=3, shape=(80, 96), cfa_name="RGGB", split="train", first=1):
    """Write scenes of (10 s, 0.1 s) pairs below root/SID; returns the folder."""
    cell = cfa.from_name(cfa_name)
    folder = root / "SID"
    lines = []
    for n in range(first, first + scenes):
        light = isp.undevelop(picture(n, shape), CAMERA)
        if cfa_name != "RGGB":  # the scene through other filters
            other = type("C", (), {"cfa": cell, "color_matrix": CAMERA.color_matrix,
                                   "white_balance": CAMERA.white_balance})  # fmt: skip
            light = isp.undevelop(picture(n, shape), other)
        long, short = f"Sony/long/{n:05d}_00_10s.dng", f"Sony/short/{n:05d}_00_0.1s.dng"
        for name, ratio in ((long, 1), (short, 100)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            mosaic = noise.expose(light, ratio, CAMERA, 800, [n, ratio])
            write_dng(folder / name, raw_of(mosaic, cell))
        lines.append(f"./{short} ./{long} ISO800 F8")
    (folder / f"Sony_{split}_list.txt").write_text("\n".join(lines) + "\n")
    return folder


def make_llrvd(root, scenes=(1, 2), shape=(24, 32), frames=6, ratios=(100, 250), info=True):
    """Write clips of a panning scene, `shape` packed, below root/LLRVD; returns the folder.

    Scenes 7, 14, ... 28 are of the split val, 35, 42, ... 70 of test, the others up to 70 of train.
    """
    folder, (h, w) = root / "LLRVD", (2 * s for s in shape)
    camera = dataclasses.replace(CAMERA, white_level=15360)
    colours = {
        "wb": np.array([*CAMERA.white_balance, 1.0]),
        "ccm": np.linalg.inv(colorimetry.camera_from_srgb(CAMERA.color_matrix)),
    }
    for n in scenes:
        scene = picture(n, (h, w + 2 * frames))
        lights = [isp.undevelop(scene[:, 2 * t : 2 * t + w], camera) for t in range(frames)]
        save(folder / f"ratio_gt/{n}/gt.npy", [np.rint(512 + 14848 * x) for x in lights])
        for r in ratios:
            dark = [noise.expose(x, r, camera, 800, [n, r, t]) for t, x in enumerate(lights)]
            save(folder / f"ratio_noisy_all/{n}/{r}/lq.npy", dark)
        for t in range(1, frames + 1 if info else 0):
            path = folder / f"ISP_info/{n}/{t}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, colours, allow_pickle=True)
    return folder


def make_smoid(root, scenes=(6,), shape=(10, 14), frames=5):
    """Write clips whose values run through all that 16 bits hold below root/SMOID.

    Scenes 4 and 5 are of the split train, 1 of val, 6 of test.
    """
    rng = np.random.default_rng(0)
    for n in scenes:
        for gain in (0, 15, 30):
            for name in ("Dark/RAW/raw_input.npy", "Bright/RAW/raw_target.npy"):
                path = root / f"SMOID/_Scene{n}/Gain{gain}Gain0" / name
                path.parent.mkdir(parents=True)
                np.save(path, rng.integers(0, 65536, (frames, 4, *shape)).astype(np.uint16))
    return root / "SMOID"


def make_photos(root, scenes=3, shape=(40, 48)):
    """Write pairs/ (three exposures a scene) and LOL/ (two pairs a split) below root.

    The scenes of LOL/eval15 are other ones; exposures are rough with noise and rounded to 8 bits.
    """
    for n in range(1, scenes + 1):
        for k in range(3):
            write_photo(root / f"pairs/{n}/{k}.png", picture(n, shape), 0.3 / 2**k, [n, k])
    for split, first in (("our485", 1), ("eval15", 101)):
        for n in (first, first + 1):
            write_photo(root / f"LOL/{split}/low/{n}.png", picture(n, shape), 0.2, [n, 9])
            write_photo(root / f"LOL/{split}/high/{n}.png", picture(n, shape))
    return root


def make_scenes(root, shape=(64, 72)):
    """Write photos/train, of which one is for validation, and photos/test below root."""
    for n in range(6):
        write_photo(root / f"photos/{'train' if n < 5 else 'test'}/{n}.png", picture(n, shape))
    return root


def write_photo(path, image, light=1.0, seed=None):
    """A PNG of a picture (H, W, 3) with less light; with a seed noisy."""
    import imageio.v3 as iio

    noisy = 0.0 if seed is None else np.random.default_rng(seed).normal(0, 0.01, image.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, np.rint(255 * np.clip(image * light + noisy, 0, 1)).astype(np.uint8))


def save(path, mosaics):
    """Mosaics (T, 2H, 2W) as LLRVD stores them: (T, H, W, 4) uint16."""
    path.parent.mkdir(parents=True, exist_ok=True)
    planes = cfa.pack_mosaic(np.stack(mosaics)).transpose(0, 2, 3, 1)
    np.save(path, planes.astype(np.uint16))


def raw_of(mosaic, cell=cfa.RGGB, **changes):
    """A RawImage of our camera around a mosaic."""
    fields = {
        "black_level": CAMERA.black_level,
        "white_level": CAMERA.white_level,
        "white_balance": CAMERA.white_balance,
        "color_matrix": CAMERA.color_matrix,
        "model": CAMERA.model,
    }
    return RawImage(mosaic, cell, **(fields | changes))
