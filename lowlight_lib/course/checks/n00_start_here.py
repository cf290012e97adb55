"""Exercises of notebook 00."""

import numpy as np

from .common import answer_of, exercise

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


@exercise("00.2", 2, first_picture)
def _(first_picture):
    """Right: light, colours, brightness. You have written a raw converter."""
    rng = np.random.default_rng(0)
    one, grey = (1.0, 1.0, 1.0), np.full((6, 8), 562, np.uint16)

    def ask(mosaic, ratio, gains):
        x = np.asarray(answer_of(first_picture, mosaic.copy(), 512, 1512, ratio, gains), float)
        assert x.shape == (3, 4, 3), f"Of a mosaic (6, 8) make a picture (3, 4, 3), not {x.shape}."
        return x, _OWN(mosaic, 512, 1512, ratio, gains)

    x, y = ask(grey, 4, one)  # a fifth of white
    for wrong, said in (
        (0.2, "the light is right. Step 3: the root is missing, screens expect it."),
        ((50 / 1512 * 4) ** (1 / 2.2), "divided by white, and the scale begins at black."),
        (0.05 ** (1 / 2.2), "the ratio is missing."),
        (1.0, "black was not taken away."),
        (0.2**2.2, "the power is the wrong way round: 1 over it makes the dark end brighter."),
    ):
        assert not np.allclose(x, wrong, atol=2e-3), f"Step 1, an even grey: {said}"
    assert np.allclose(x, y, atol=2e-3), "Step 1: an even grey comes out wrong. Print each line."

    done, colours = "Step 1 of 3 is right. Step 2:", np.tile([[600, 700], [860, 1000]], (3, 4))
    x, y = ask(colours.astype(np.uint16), 1, one)
    assert not np.allclose(x, y[..., ::-1], atol=2e-3), f"{done} red and blue are exchanged."
    for k in (700, 860):
        alone = abs(x[0, 0, 1] - ((k - 512) / 1000) ** (1 / 2.2)) < 1e-3
        assert not alone, f"{done} there are two greens in a cell. Use both."
    for c, name in enumerate(("red", "green", "blue")):
        assert np.allclose(x[..., c], y[..., c], atol=2e-3), f"{done} {name} is another pixel."

    done = "Steps 1 and 2 of 3 are right. Step 3:"
    x, y = ask(colours.astype(np.uint16), 1, (2.0, 1.0, 1.5))
    late = np.allclose(x[..., 0] / y[..., 0], 2 / 2 ** (1 / 2.2), atol=1e-2)
    assert not late, f"{done} gains belong to light, so they come before the root."
    assert np.allclose(x, y, atol=2e-3), f"{done} each colour has its own gain."
    noisy = rng.integers(480, 1600, (6, 8)).astype(np.uint16)
    x, y = ask(noisy, 2, one)
    assert np.isfinite(x).all(), f"{done} below black there is nan: a root of a negative number."
    assert x.max() <= 1, f"{done} something is brighter than white: clip, and mind uint16."
    assert np.allclose(x, y, atol=2e-3), f"{done} below black, or above white, it is off."


_OWN = first_picture


def shrink(picture, n):
    h, w = (s // n * n for s in picture.shape[:2])
    return picture[:h, :w].reshape(h // n, n, w // n, n, -1).mean((1, 3))


@exercise("00.3", 2, shrink)
def _(shrink):
    """Right: a smaller picture with less noise. All denoising is averaging, done with more care."""
    for (h, w), n in (((8, 12), 2), ((9, 12), 3), ((11, 13), 4)):
        picture = np.random.default_rng(1).random((h, w, 3))
        answer, truth = np.asarray(answer_of(shrink, picture.copy(), n), float), _SHRUNK(picture, n)
        said = f"A picture of {h} x {w} in blocks of {n} becomes {answer.shape}"
        rest = " Cut off what is no whole block." if h % n else ""
        assert answer.shape == truth.shape, f"{said}, not as many pixels as there are blocks.{rest}"
        taken = picture[: h // n * n : n, : w // n * n : n]
        said = "you take one pixel of each block, and its noise with it. Average them all."
        assert not np.allclose(answer, taken), f"Blocks of {n}: {said}"
        said = "the three colours are mixed."
        assert not np.allclose(answer, truth.mean(2, keepdims=True)), f"Blocks of {n}: {said}"
        brighter = np.allclose(answer, truth * n * n) or np.allclose(answer, truth * n)
        assert not brighter, f"Blocks of {n}: a sum is brighter than its pixels. Take the mean."
        said = "some pixels are averaged with others than their block's."
        assert np.allclose(answer, truth), f"Blocks of {n}: {said}"


_SHRUNK = shrink
