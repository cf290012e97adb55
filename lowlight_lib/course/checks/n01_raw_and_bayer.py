"""Exercises of notebook 01, sections 1 to 4."""

import numpy as np

from ...sensor import cfa, noise
from ...sensor.raw import RawImage
from .common import answer_of, exercise

_CAMERA = noise.SONY_A7S2


def _array(function, *args, shape):
    """The student's answer as floats of this shape."""
    answer = np.asarray(answer_of(function, *args), float)
    assert answer.shape == shape, f"Return an array of shape {shape}, not {answer.shape}."
    return answer


def _differ(answer, truth, near=1e-4):
    """Where two arrays differ first, as a text; "" where they do not."""
    off = ~(np.abs(answer - truth) <= near * np.maximum(1, np.abs(truth)))
    if not off.any():
        return ""
    place = tuple(int(i) for i in np.argwhere(off)[0])
    return f"At {place} you have {answer[place]:.4g}."


def gains_of_cell(pattern, gains):
    gains = np.array(gains)
    if gains[3] == 0:  # not recorded: the second green is as good as the first
        gains[3] = gains[1]
    return gains[pattern]


def _cells():
    three = _CAMERA.white_balance
    for cell in cfa.BAYER.values():
        # The green beside blue as LibRaw's colour 3, without a gain of its own and with one; as 1.
        pattern = np.where((cell == 1) & (cell == 2).any(1, keepdims=True), 3, cell)
        for p, fourth in ((pattern, 0.0), (pattern, 1.25 * three[1]), (cell, 0.0)):
            yield p, [*three, fourth]


@exercise("01.1", 2, gains_of_cell, _cells)
def _(answer, truth, pattern, gains):
    """Right, for all four Bayer orders and both ways to number the greens."""
    yield (answer <= 0).any(), "A gain of 0 means that none is recorded."
    one_green = np.array([*gains[:3], gains[1]])[pattern]
    yield one_green, "This camera's greens differ. Only for a 0 does the other stand in."
    yield True, "Read it place by place: 0 is red, 2 is blue, and 1 and 3 are both green."


def linearise(mosaic, black_cell, white):
    levels = np.asarray(black_cell, np.float32)
    if levels.shape == (1, 1):
        levels = np.repeat(np.repeat(levels, 2, 0), 2, 1)
    return RawImage(mosaic, black_level=levels, white_level=white).normalized().astype(float)


@exercise("01.2", 2, linearise)
def _(linearise):
    """Right: with one black level and with four, for odd sizes, and cut below black."""
    rng, one, four = np.random.default_rng(1), np.array([[512]]), np.array([[512, 500], [530, 516]])
    mosaic = rng.integers(540, 17000, (6, 8)).astype(np.uint16)
    said = "Step 1:"
    x, y = _array(linearise, mosaic.copy(), one, 16383, shape=(6, 8)), _OWN(mosaic, one, 16383)
    assert not np.allclose(x, mosaic / 16383, 1e-3), f"{said} black was not subtracted."
    below = "divided by white, and the scale from black to white is shorter."
    assert not np.allclose(x, (mosaic - 512.0) / 16383, 1e-3), f"{said} {below}"
    assert not np.allclose(x, np.minimum(y, 1)) or y.max() <= 1, (
        f"{said} above white it stays above 1."
    )
    assert not (where := _differ(x, y)), f"{said} {where} Distance from black over the whole scale."
    mosaic[2, 3] = 500
    x = _array(linearise, mosaic.copy(), one, 16383, shape=(6, 8))
    assert x[2, 3] < 1, f"{said} 500 - 512 wrapped around in uint16. Make floats first."

    said, mosaic[2, 3] = "Step 1 of 3 is right. Step 2:", 900
    x, y = _array(linearise, mosaic.copy(), four, 16383, shape=(6, 8)), _OWN(mosaic, four, 16383)
    mean = np.maximum(mosaic - four.mean(), 0) / (16383 - four.mean())
    assert not np.allclose(x, mean, 1e-6), f"{said} each place of the cell has a level of its own."
    assert not (where := _differ(x, y, 1e-6)), f"{said} {where} Which place of the cell is that?"
    odd = mosaic[:5, :7].copy()
    assert not _differ(_array(linearise, odd, four, 16383, shape=(5, 7)), _OWN(odd, four, 16383)), (
        f"{said} it is right for whole cells, but not for a mosaic of 5 x 7."
    )
    mosaic[2, 3] = 500
    x = _array(linearise, mosaic.copy(), one, 16383, shape=(6, 8))
    assert x[2, 3] == 0, (
        f"Steps 1 and 2 of 3 are right. Step 3: 500 is below black, and gives {x[2, 3]:.3g}."
    )


_OWN = linearise


def pad_to_rggb(mosaic, name):
    raw = RawImage(np.asarray(mosaic).astype(np.uint16), cfa.BAYER[name])
    return cfa.to_rggb(raw)[0].mosaic


@exercise("01.3", 2, pad_to_rggb)
def _(pad_to_rggb):
    """Right for all four orders: red comes first, and every new pixel has its own colour."""
    for name, cell in cfa.BAYER.items():
        number = np.arange(1, 7)[:, None] * 10 + np.arange(8)
        mosaic = 100 * (1 + cfa.tile(cell, (6, 8)).astype(int)) + number  # hundreds are colours
        truth = _PADDED(mosaic, name)
        answer = np.asarray(answer_of(pad_to_rggb, mosaic.copy(), name))
        said = f"Step 1: {name} comes out as {answer.shape}, from (6, 8)."
        assert answer.shape == truth.shape, f"{said} Write down the cell: where is its R?"
        colour, right = answer // 100 - 1, cfa.tile(cfa.RGGB, truth.shape)
        assert (answer > 0).all(), f"Step 2: {name}: zeros would be a black line in the picture."
        said = f"Step 2: {name}: the new line has pixels of another colour than its place needs."
        assert (colour == right).all(), f"{said} A copy of the edge does that."
        said = f"Step 2: {name}: the colours are right, but"
        assert (answer == truth).all(), f"{said} nearer pixels of that colour are there."


_PADDED = pad_to_rggb


@exercise("01.4", 1, lambda: cfa.name(cfa.tile(cfa.RGGB, (4, 4))[::-1, ::-1][:2, :2]), [()])
def phase_after_both_flips(answer, truth):
    """Right. The greens are back in their places, red and blue have changed seats."""
    yield answer not in cfa.BAYER, "An order has two G, an R and a B, as in RGGB."
    yield "RGGB", "Two mirrors cancel nothing here: follow the first red pixel through each."
    yield True, "That is where one flip alone leads. The second one moves the other axis."
