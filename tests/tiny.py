"""A SID-layout data set of a few small frames, for tests that do not need photographs."""

import numpy as np

from lowlight_lib.sensor import cfa, isp, noise
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
