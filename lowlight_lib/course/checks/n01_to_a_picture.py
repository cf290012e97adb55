"""Exercises of notebook 01, sections 5 and 6: to a picture and back."""

import numpy as np

from ...sensor import cfa, colorimetry, noise
from .common import answer_of, exercise
from .n01_raw_and_bayer import _array, _differ

_CAMERA = noise.SONY_A7S2


def demosaic(mosaic, colours):
    square, cross = np.outer([1, 2, 1], [1, 2, 1]), np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]])
    planes = []
    for c, kernel in enumerate((square, cross, square)):
        mask = (np.asarray(colours) == c).astype(float)
        total, weight = (_spread(x, kernel) for x in (mosaic * mask, mask))
        planes.append(total / weight)
    return np.stack(planes, 2)


def _spread(x, kernel):
    (h, w), x = x.shape, np.pad(x, 1)
    return sum(kernel[i, j] * x[i : i + h, j : j + w] for i, j in np.ndindex(3, 3))


@exercise("01.5", 3, demosaic)
def _(demosaic):
    """Right, for all four phases, borders too: what was measured stays, the rest is means."""
    for name, cell in cfa.BAYER.items():
        mosaic = np.random.default_rng(2).uniform(0.1, 0.9, (8, 10))
        colours = cfa.tile(cell, mosaic.shape).astype(int)
        truth = _DEMOSAICED(mosaic, colours)
        x = _array(demosaic, mosaic.copy(), colours.copy(), shape=(8, 10, 3))
        own = np.take_along_axis(x, colours[..., None], 2)[..., 0]
        said = f"{name}, step 1: {_differ(own, mosaic)} What was measured must stay what it is."
        blurred = np.abs(own - mosaic)[colours == 1].max() > 1e-6
        said += " Greens have green diagonals: which kernel leaves them alone?" if blurred else ""
        assert np.allclose(own, mosaic, atol=1e-6), said
        done, inside = f"{name}: step 1 of 4 is right.", np.s_[2:-2, 2:-2]
        for c, step, word in ((0, 2, "red"), (2, 2, "blue"), (1, 3, "green")):
            a, t = x[inside][..., c], truth[inside][..., c]
            said = f"{done} Step {step}: the {word} plane"
            assert not (a[colours[inside] != c] == 0).all(), f"{said} has holes yet."
            half = (
                np.abs(a).mean() < 0.8 * np.abs(t).mean()
                or np.abs(a).mean() > 1.2 * np.abs(t).mean()
            )
            assert not half, (
                f"{said} is too dark or too bright: divide by the weights that were there."
            )
            assert np.allclose(a, t, atol=1e-6), (
                f"{said} is not the mean of the nearest {word} pixels."
            )
        done = f"{name}: steps 1 to 3 of 4 are right. Step 4:"
        assert np.isfinite(x).all(), f"{done} at the border something was divided by 0."
        where = "; ".join(filter(None, (_differ(x[..., c], truth[..., c], 1e-6) for c in range(3))))
        assert not where, (
            f"{done} the border is another. {where[:60]} Only neighbours that exist count."
        )


_DEMOSAICED = demosaic


def undevelop(picture, to_camera, gains, colours):
    light = colorimetry.bt709_decode(picture) @ np.asarray(to_camera).T
    light = np.clip(light / (np.array(gains) / min(gains)), 0, 1)
    return np.take_along_axis(light, np.asarray(colours)[..., None].astype(int), 2)[..., 0]


@exercise("01.6", 3, undevelop)
def _(undevelop):
    """Right: any photograph is a raw file now, free of noise. Notebook 02 adds the noise."""
    colours = cfa.tile(cfa.RGGB, (16, 16)).astype(int)
    grey = np.repeat(np.linspace(0, 1, 256).reshape(16, 16, 1), 3, 2)
    picture = np.random.default_rng(3).uniform(0.2, 0.8, (16, 16, 3))
    matrix = colorimetry.camera_from_srgb(_CAMERA.color_matrix)

    def ask(picture, matrix, gains):
        x = np.asarray(
            answer_of(undevelop, picture.copy(), matrix.copy(), gains, colours.copy()), float
        )
        assert x.shape in ((16, 16), (16, 16, 3)), f"Return (H, W) = (16, 16), not {x.shape}."
        full = x.ndim == 3  # not yet sampled
        sampled = np.take_along_axis(x, colours[..., None], 2)[..., 0] if full else x
        return sampled, _UNDEVELOPED(picture, matrix, gains, colours), full

    one = (1.0, 1.0, 1.0)
    x, y, _ = ask(grey, np.eye(3), one)
    assert not np.allclose(x, grey[..., 0], atol=1e-3), "Step 1: the tone curve is still on."
    assert not np.allclose(x, colorimetry.bt709_encode(grey[..., 0]), atol=1e-3), (
        "Step 1: you applied the curve once more. Solve it for x."
    )
    near_black = "the straight piece near black: what is the line at its end, as y?"
    assert np.isfinite(x).all() and np.allclose(x[:1], y[:1], atol=2e-4), f"Step 1: {near_black}"
    assert np.allclose(x, y, atol=1e-3), f"Step 1: {_differ(x, y, 1e-3)} Check the curved piece."
    done = "Step 1 of 4 is right. Step 2:"
    x, y, _ = ask(picture, matrix, one)
    said = "the matrix is not applied yet."
    assert not np.allclose(x, _UNDEVELOPED(picture, np.eye(3), one, colours), atol=1e-4), (
        f"{done} {said}"
    )
    for other in (matrix.T, np.linalg.inv(matrix)):
        wrong = np.allclose(x, _UNDEVELOPED(picture, other, one, colours), atol=1e-4)
        assert not wrong, f"{done} the matrix is turned round. Which side, and which direction?"
    assert np.allclose(x, y, atol=1e-4), (
        f"{done} {_differ(x, y)} Each pixel's three colours, by the matrix."
    )
    done, gains = "Steps 1 and 2 of 4 are right. Step 3:", (2.6, 1.0, 1.3)
    x, y, _ = ask(picture, matrix, gains)
    brighter = np.median(x / np.maximum(y, 1e-9)) > 1.2
    assert not brighter, (
        f"{done} this is too bright: a converter multiplies by the gains, and backwards?"
    )
    assert np.allclose(x, y, atol=1e-4), (
        f"{done} {_differ(x, y)} One gain for each of the three colours."
    )
    x, y, full = ask(picture, matrix, tuple(2 * g for g in gains))
    assert np.allclose(x, y, atol=1e-4), f"{done} gains of 2, 4 and 2 mean the same as 1, 2 and 1."
    x, y, full = ask(np.where(picture > 0.5, 1.0, 0.0), 2 * np.eye(3) - matrix, gains)
    assert x.min() >= 0 and x.max() <= 1, f"{done} saturated colours leave the scale. Cut them."
    done = "Steps 1 to 3 of 4 are right. Step 4:"
    assert not full, f"{done} a pixel has one filter, and you return three colours for each."
    assert np.allclose(x, y, atol=1e-4), (
        f"{done} {_differ(x, y)} Which filter does that pixel have?"
    )


_UNDEVELOPED = undevelop
