"""Exercises of notebook 00."""

import numpy as np

from .common import answer_of, array_of, exercise

_PIXELS = [(512, 16383, 100), (64, 1023, 10), (100, 16383, 2)]


@exercise("00.1", 1, lambda black, white, ratio: min(1.0, black * ratio / white), _PIXELS)
def black_after_forgetting(answer, truth, black, white, ratio):
    """Right: at ratio 100 the darkest black there is comes out pure white."""
    yield answer > 1, "Right so far, but nothing is brighter than white. Clip."
    yield 0, "So it would be had black been subtracted. What is stored is multiplied."
    yield True, "Stored number times ratio, over the white level."


def first_picture(mosaic, black, white, ratio, gains):
    light = (mosaic.astype(float) - black) / (white - black) * ratio
    green = (light[0::2, 1::2] + light[1::2, 0::2]) / 2
    picture = np.stack([light[0::2, 0::2], green, light[1::2, 1::2]], axis=-1)
    return np.clip(picture * np.array(gains), 0, 1) ** (1 / 2.2)


@exercise("00.2", 2, first_picture, relative=0, absolute=2e-3)
def _(function):
    """Right: light, colours, brightness. You have written a raw converter."""
    one, form = (1.0, 1.0, 1.0), "Of a mosaic (6, 8) make a picture"

    def ask(mosaic, ratio, gains):
        args = 512, 1512, ratio, gains
        x = array_of(function, (3, 4, 3), mosaic.astype(np.uint16), *args, form=form)
        return x, first_picture(mosaic, *args)

    x, y = ask(np.full((6, 8), 562), 4, one)  # a fifth of white
    yield "Step 1, an even grey:", x, y
    yield 0.2, "the light is right. Step 3: the root is missing, screens expect it."
    yield (50 / 1512 * 4) ** (1 / 2.2), "divided by white, and the scale begins at black."
    yield 0.05 ** (1 / 2.2), "the ratio is missing."
    yield 1.0, "black was not taken away."
    wrong_way = "the power is the wrong way round: 1 over it makes the dark end brighter."
    yield 0.2**2.2, wrong_way
    yield "Step 1:", x, y
    yield True, "an even grey comes out wrong. Print each line."

    colours = np.tile([[600, 700], [860, 1000]], (3, 4))
    x, y = ask(colours, 1, one)
    yield "Step 1 of 3 is right. Step 2:", x, y
    yield y[..., ::-1], "red and blue are exchanged."
    for k in (700, 860):
        alone = abs(x[0, 0, 1] - ((k - 512) / 1000) ** (1 / 2.2)) < 1e-3
        yield alone, "there are two greens in a cell. Use both."
    for c, name in enumerate(("red", "green", "blue")):
        yield not np.allclose(x[..., c], y[..., c], atol=2e-3), f"{name} is another pixel."

    x, y = ask(colours, 1, (2.0, 1.0, 1.5))
    yield "Steps 1 and 2 of 3 are right. Step 3:", x, y
    late = np.allclose(x[..., 0] / y[..., 0], 2 / 2 ** (1 / 2.2), atol=1e-2)
    yield late, "gains belong to light, so they come before the root."
    yield True, "each colour has its own gain."
    x, y = ask(np.random.default_rng(0).integers(480, 1600, (6, 8)), 2, one)
    yield "Steps 1 and 2 of 3 are right. Step 3:", x, y
    yield not np.isfinite(x).all(), "below black there is nan: a root of a negative number."
    yield x.max() > 1, "something is brighter than white: clip, and mind uint16."
    yield True, "below black, or above white, it is off."


def shrink(picture, n):
    h, w = (s // n * n for s in picture.shape[:2])
    return picture[:h, :w].reshape(h // n, n, w // n, n, -1).mean((1, 3))


@exercise("00.3", 2, shrink, relative=1e-5)
def _(function):
    """Right: a smaller picture with less noise. All denoising is averaging, done with more care."""
    for (h, w), n in (((8, 12), 2), ((9, 12), 3), ((11, 13), 4)):
        picture = np.random.default_rng(1).random((h, w, 3))
        x, y = np.asarray(answer_of(function, picture.copy(), n), float), shrink(picture, n)
        rest = " Cut off what is no whole block." if h % n else ""
        assert x.shape == y.shape, f"""A picture of {h} x {w} in blocks of {n} becomes {x.shape},
            not as many pixels as there are blocks.{rest}"""
        yield f"Blocks of {n}:", x, y
        taken = picture[: h // n * n : n, : w // n * n : n]
        grain = "you take one pixel of each block, and its noise with it. Average them all."
        yield taken, grain
        yield y.mean(2, keepdims=True), "the three colours are mixed."
        for times in (n, n * n):
            yield times * y, "a sum is brighter than its pixels. Take the mean."
        yield True, "some pixels are averaged with others than their block's."
