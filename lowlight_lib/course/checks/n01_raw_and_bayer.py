"""Exercises of notebook 01."""

import numpy as np

from ...sensor import cfa, colorimetry, noise
from ...sensor.raw import RawImage
from .common import answer_of, array_of, exercise

_CAMERA = noise.SONY_A7S2


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


@exercise("01.2", 2, linearise, relative=0, absolute=1e-6)
def _(function):
    """Right: with one black level and with four, for odd sizes, and cut below black."""
    rng, one, four = np.random.default_rng(1), np.array([[512]]), np.array([[512, 500], [530, 516]])
    mosaic = rng.integers(540, 17000, (6, 8)).astype(np.uint16)

    def ask(mosaic, black):
        truth = linearise(mosaic, black, 16383)
        return array_of(function, mosaic.shape, mosaic.copy(), black, 16383), truth

    x, y = ask(mosaic, one)
    yield "Step 1:", x, y
    yield mosaic / 16383, "black was not subtracted."
    below = "divided by white, and the scale from black to white is shorter."
    yield (mosaic - 512.0) / 16383, below
    yield np.minimum(y, 1), "above white it stays above 1."
    yield True, f"{_differ(x, y, 1e-6)} Distance from black over the whole scale."
    mosaic[2, 3] = 500
    yield "Step 1:"
    wrapped = not ask(mosaic, one)[0][2, 3] < 1
    yield wrapped, "500 - 512 wrapped around in uint16. Make floats first."

    mosaic[2, 3] = 900
    x, y = ask(mosaic, four)
    yield "Step 1 of 3 is right. Step 2:", x, y
    mean = np.maximum(mosaic - four.mean(), 0) / (16383 - four.mean())
    yield mean, "each place of the cell has a level of its own."
    yield True, f"{_differ(x, y, 1e-6)} Which place of the cell is that?"
    yield "Step 1 of 3 is right. Step 2:", *ask(mosaic[:5, :7].copy(), four)
    yield True, "it is right for whole cells, but not for a mosaic of 5 x 7."
    mosaic[2, 3] = 500
    x, _ = ask(mosaic, one)
    yield "Steps 1 and 2 of 3 are right. Step 3:"
    yield x[2, 3] != 0, f"500 is below black, and gives {x[2, 3]:.3g}."


def pad_to_rggb(mosaic, name):
    raw = RawImage(np.asarray(mosaic).astype(np.uint16), cfa.BAYER[name])
    return cfa.to_rggb(raw)[0].mosaic


@exercise("01.3", 2, pad_to_rggb)
def _(function):
    """Right for all four orders: red comes first, and every new pixel has its own colour."""
    for name, cell in cfa.BAYER.items():
        number = np.arange(1, 7)[:, None] * 10 + np.arange(8)
        mosaic = 100 * (1 + cfa.tile(cell, (6, 8)).astype(int)) + number  # hundreds are colours
        x, y = np.asarray(answer_of(function, mosaic.copy(), name)), pad_to_rggb(mosaic, name)
        assert x.shape == y.shape, f"""Step 1: {name} comes out as {x.shape}, from (6, 8). Write
            down the cell: where is its R?"""
        yield f"Step 2: {name}:"
        yield not (x > 0).all(), "zeros would be a black line in the picture."
        others = (x // 100 - 1 != cfa.tile(cfa.RGGB, y.shape)).any()
        assert not others, f"""Step 2: {name}: the new line has pixels of another colour than its
            place needs. A copy of the edge does that."""
        yield (x != y).any(), "the colours are right, but nearer pixels of that colour are there."


@exercise("01.4", 1, lambda: cfa.name(cfa.tile(cfa.RGGB, (4, 4))[::-1, ::-1][:2, :2]), [()])
def phase_after_both_flips(answer, truth):
    """Right. The greens are back in their places, red and blue have changed seats."""
    yield answer not in cfa.BAYER, "An order has two G, an R and a B, as in RGGB."
    yield "RGGB", "Two mirrors cancel nothing here: follow the first red pixel through each."
    yield True, "That is where one flip alone leads. The second one moves the other axis."


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


@exercise("01.5", 3, demosaic, relative=0, absolute=1e-6)
def _(function):
    """Right, for all four phases, borders too: what was measured stays, the rest is means."""
    for name, cell in cfa.BAYER.items():
        mosaic = np.random.default_rng(2).uniform(0.1, 0.9, (8, 10))
        colours = cfa.tile(cell, mosaic.shape).astype(int)
        x, y = (
            array_of(function, (8, 10, 3), mosaic.copy(), colours.copy()),
            demosaic(mosaic, colours),
        )
        own, inside = np.take_along_axis(x, colours[..., None], 2)[..., 0], np.s_[2:-2, 2:-2]
        blurred = np.abs(own - mosaic)[colours == 1].max() > 1e-6
        hint = " Greens have green diagonals: which kernel leaves them alone?" if blurred else ""
        yield f"{name}, step 1: {_differ(own, mosaic)} What was measured must", own, mosaic
        yield True, f"stay what it is.{hint}"
        for c, step, word in ((0, 2, "red"), (2, 2, "blue"), (1, 3, "green")):
            a, t = x[inside][..., c], y[inside][..., c]
            yield f"{name}: step 1 of 4 is right. Step {step}: the {word} plane", a, t
            yield (a[colours[inside] != c] == 0).all(), "has holes yet."
            scaled = not 0.8 <= np.abs(a).mean() / np.abs(t).mean() <= 1.2
            yield scaled, "is too dark or too bright: divide by the weights that were there."
            yield True, f"is not the mean of the nearest {word} pixels."
        yield f"{name}: steps 1 to 3 of 4 are right. Step 4:", x, y
        yield not np.isfinite(x).all(), "at the border something was divided by 0."
        where = "; ".join(filter(None, (_differ(x[..., c], y[..., c], 1e-6) for c in range(3))))
        yield True, f"the border is another. {where[:60]} Only neighbours that exist count."


def undevelop(picture, to_camera, gains, colours):
    light = colorimetry.bt709_decode(picture) @ np.asarray(to_camera).T
    light = np.clip(light / (np.array(gains) / min(gains)), 0, 1)
    return np.take_along_axis(light, np.asarray(colours)[..., None].astype(int), 2)[..., 0]


@exercise("01.6", 3, undevelop, relative=0, absolute=1e-4)
def _(function):
    """Right: any photograph is a raw file now, free of noise. Notebook 02 adds the noise."""
    colours = cfa.tile(cfa.RGGB, (16, 16)).astype(int)
    grey = np.repeat(np.linspace(0, 1, 256).reshape(16, 16, 1), 3, 2)
    picture = np.random.default_rng(3).uniform(0.2, 0.8, (16, 16, 3))
    matrix = colorimetry.camera_from_srgb(_CAMERA.color_matrix)

    def ask(picture, matrix, gains):
        args = picture.copy(), matrix.copy(), gains, colours.copy()
        x = np.asarray(answer_of(function, *args), float)
        assert x.shape in ((16, 16), (16, 16, 3)), f"Return (H, W) = (16, 16), not {x.shape}."
        full = x.ndim == 3  # not yet sampled
        sampled = np.take_along_axis(x, colours[..., None], 2)[..., 0] if full else x
        return sampled, undevelop(picture, matrix, gains, colours), full

    one, gains = (1.0, 1.0, 1.0), (2.6, 1.0, 1.3)
    x, y, _ = ask(grey, np.eye(3), one)
    yield "Step 1:"
    for wrong, said in (
        (grey[..., 0], "the tone curve is still on."),
        (
            colorimetry.bt709_encode(grey[..., 0]),
            "you applied the curve once more. Solve it for x.",
        ),
    ):
        yield np.allclose(x, wrong, atol=1e-3), said
    dark = np.isfinite(x).all() and np.allclose(x[:1], y[:1], atol=2e-4)
    yield not dark, "the straight piece near black: what is the line at its end, as y?"
    yield not np.allclose(x, y, atol=1e-3), f"{_differ(x, y, 1e-3)} Check the curved piece."
    x, y, _ = ask(picture, matrix, one)
    yield "Step 1 of 4 is right. Step 2:", x, y
    yield undevelop(picture, np.eye(3), one, colours), "the matrix is not applied yet."
    for other in (matrix.T, np.linalg.inv(matrix)):
        turned = undevelop(picture, other, one, colours)
        yield turned, "the matrix is turned round. Which side, and which direction?"
    yield True, f"{_differ(x, y)} Each pixel's three colours, by the matrix."
    x, y, _ = ask(picture, matrix, gains)
    yield "Steps 1 and 2 of 4 are right. Step 3:", x, y
    bright = np.median(x / np.maximum(y, 1e-9)) > 1.2
    yield bright, "this is too bright: a converter multiplies by the gains, and backwards?"
    yield True, f"{_differ(x, y)} One gain for each of the three colours."
    x, y, _ = ask(picture, matrix, tuple(2 * g for g in gains))
    yield "Steps 1 and 2 of 4 are right. Step 3:", x, y
    yield True, "gains of 2, 4 and 2 mean the same as 1, 2 and 1."
    x, y, full = ask(np.where(picture > 0.5, 1.0, 0.0), 2 * np.eye(3) - matrix, gains)
    yield "Steps 1 and 2 of 4 are right. Step 3:"
    yield not (x.min() >= 0 and x.max() <= 1), "saturated colours leave the scale. Cut them."
    yield "Steps 1 to 3 of 4 are right. Step 4:"
    yield full, "a pixel has one filter, and you return three colours for each."
    yield not np.allclose(x, y, atol=1e-4), f"{_differ(x, y)} Which filter does that pixel have?"
