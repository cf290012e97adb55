"""Exercises of notebook 13, sections 1 to 4."""

import numpy as np
import torch

from ...blocks import retinex
from .common import answer_of, exercise


def sample_pair(scenes, step, rng, crop):
    epoch, place = divmod(step, len(scenes))
    pictures = scenes[rng(0, epoch).permutation(len(scenes))[place]]
    if len(pictures) < 2:
        raise ValueError(f"a pair needs two pictures, and here is {len(pictures)}")
    draw = rng(1, step, 0)
    two = draw.choice(len(pictures), 2, replace=False)
    top, left = (int(draw.integers(0, n - crop + 1)) for n in pictures[0].shape[:2])
    both = [pictures[k][top : top + crop, left : left + crop] for k in two]
    return np.stack(both).transpose(0, 3, 1, 2).astype(np.float32) / 255


class _Counting:
    """A random generator that counts how often it is asked, and stops who asks for ever."""

    def __init__(self, *key):
        self.rng, self.left = np.random.default_rng(key), 2000

    def __getattr__(self, name):
        self.left -= 1
        assert self.left > 0, "You draw for ever. Which condition can never come true?"
        return getattr(self.rng, name)


def _scene(number, pictures, h, w):
    """Pictures whose red says which one it is, whose green and blue say row and column."""
    y, x = np.mgrid[:h, :w]
    return [np.stack([0 * y + 10 * number + k, y, x], 2).astype(np.uint8) for k in range(pictures)]


@exercise("13.1", 3, sample_pair)
def _(function):
    """Right: every scene once an epoch, two different pictures, one place, and all of it a function
    of the step."""
    crop, sizes = 12, (2, 3, 2, 4)
    scenes = [_scene(n, k, 12 + 5 * n, 20 - n) for n, k in enumerate(sizes)]
    orders, drawn, places = [], set(), set()
    for step in range(400):
        pair = np.asarray(answer_of(function, scenes, step, _Counting, crop))
        said = "Step 1 of 4, the form: "
        assert pair.shape == (2, 3, crop, crop), f"""{said}the pair has shape {pair.shape}, and
            {(2, 3, crop, crop)} is wanted: pictures, colours, rows, columns."""
        assert pair.dtype == np.float32, f"{said}the numbers are {pair.dtype}, not float32."
        assert pair.max() < 0.5, f"{said}divide by 255, so that white is 1."
        again = function(scenes, step, _Counting, crop)
        assert np.array_equal(pair, again), f"""{said}asked twice for step {step} you give two
            different pairs. Take all chance from rng."""
        pixels = np.rint(255 * pair).astype(int)
        which = pixels[:, 0, 0, 0]
        (scene, first), (other, second) = (divmod(int(v), 10) for v in which)
        said = "Step 1: right. Step 2 of 4, the scenes: "
        assert scene == other, f"{said}the two pictures show scenes {scene} and {other}."
        orders.append(scene)
        if step == 3:
            assert len({*orders}) == 4, f"""{said}the first four steps show the scenes {orders}.
                In one epoch each comes once."""
        said = "Steps 1 and 2: right. Step 3 of 4, the two pictures: "
        assert first != second, f"{said}a picture agrees with itself, and teaches nothing."
        drawn.add((scene, first, second))
        said = "Steps 1 to 3: right. Step 4 of 4, the place: "
        (top, left), place = pixels[0, 1:, 0, 0], pixels[:, 1:]
        steps = np.mgrid[:crop, :crop]
        whole = (place[0] - place[0, :, :1, :1] == steps).all()
        assert whole, f"{said}rows or columns are missing, or exchanged."
        assert (place[0] == place[1]).all(), f"{said}cut both pictures at one place."
        places.add((scene, int(top), int(left)))
    epochs = {tuple(orders[k : k + 4]) for k in range(0, 400, 4)}
    said = "Step 1: right. Step 2 of 4, the scenes: "
    assert all(len({*e}) == 4 for e in epochs), f"{said}in a later epoch a scene comes twice."
    assert len(epochs) > 9, f"{said}{len(epochs)} order(s) in 100 epochs. Draw a new one for each."
    said = "Steps 1 and 2: right. Step 3 of 4, the two pictures: "
    missing = sum(n * (n - 1) for n in sizes) - len(drawn)
    assert not missing, f"{said}{missing} ordered pairs never come. Any two, in either order, may."
    try:
        got = function([_scene(0, 1, 14, 14)], 0, _Counting, crop)
    except ValueError:
        got = None
    assert got is None, f"{said}from a folder of one you return a pair. Say that it cannot be."
    said = "Steps 1 to 3: right. Step 4 of 4, the place: "
    for scene, (h, w) in enumerate((s[0].shape[0] - crop, s[0].shape[1] - crop) for s in scenes):
        seen = [(y, x) for n, y, x in places if n == scene]
        far = (max(y for y, _ in seen), max(x for _, x in seen))
        assert far == (h, w), f"""{said}in a picture of {h + crop} x {w + crop} no crop of {crop}
            starts beyond {far}. Which is the last place that fits?"""


def teachers(loss, split1, split2):
    tensors = dict(zip(("L1", "R1", "X1", "L2", "R2", "X2"), (*split1, *split2), strict=True))
    for t in tensors.values():
        t.requires_grad_()
    loss(split1, split2).backward()
    return {name for name, t in tensors.items() if t.grad is not None and t.grad.any()}


def _losses():
    def pair(symmetric):
        one, two = torch.rand(2, 1, 3, 6, 6, generator=torch.Generator().manual_seed(1))
        return lambda a, b: retinex.pair_loss(one, two, a, b, symmetric=symmetric)

    yield "C alone", lambda a, b: retinex.consistency(a.R, b.R), "R1 R2"
    yield "(L1 - X2)^2", lambda a, b: (a.L - b.X).square().mean(), "L1 X2"
    still = "(L1 - X2)^2 without a gradient for X2"
    yield still, lambda a, b: (a.L - b.X.detach()).square().mean(), "L1"
    yield "L2^2 + 0 X1", lambda a, b: b.L.square().mean() + 0 * a.X.mean(), "L2"
    yield "the symmetric loss", pair(True), "L1 R1 X1 L2 R2 X2"
    yield "the released loss", pair(False), "L1 R1 X1 R2"


@exercise("13.2", 2, teachers)
def _(function):
    """Right: as released, the second exposure teaches through its paint alone."""
    for name, loss, truth in _losses():
        draw = torch.Generator().manual_seed(0)
        one, two = (
            retinex.Decomposition(*(torch.rand(1, c, 6, 6, generator=draw) for c in (1, 3, 3)))
            for _ in range(2)
        )
        answer = answer_of(function, loss, one, two)
        known = {f"{letter}{k}" for letter in "LRX" for k in "12"}
        assert {*answer} <= known, f"Use the names {', '.join(sorted(known))}."
        more, fewer = {*answer} - {*truth.split()}, {*truth.split()} - {*answer}
        wrong = [f"{', '.join(sorted(more))} cannot feel it"] if more else []
        wrong += [f"{', '.join(sorted(fewer))} can, and you do not say so"] if fewer else []
        assert not wrong, f"Asked about {name}: {'; '.join(wrong)}. Is a gradient there, and not 0?"


def choose_gamma(splits, targets, gammas):
    def quality(gamma):
        pictures = [np.clip(L**gamma * R, 0, 1) for L, R in splits]
        errors = [np.mean((p - target) ** 2) for p, target in zip(pictures, targets, strict=True)]
        return np.mean([-10 * np.log10(e) for e in errors])

    return max(gammas, key=quality)


def _tunings():
    """Pictures of unequal difficulty, on which the slips below choose other exponents."""
    gammas = (0.1, 0.25, 0.45, 0.7, 0.95)
    for seed, best in ((3, (0.45, 0.45, 0.1)), (2, (0.25, 0.25, 0.7)), (4, (0.1, 0.1, 0.45))):
        rng = np.random.default_rng(seed)
        splits = [(0.02 + 0.3 * rng.random((6, 7, 1)), rng.random((6, 7, 3))) for _ in best]
        grain = (0.02, 0.02, 0.3)
        targets = [
            np.clip(L**g * R + n * rng.standard_normal(R.shape), 0, 1)
            for (L, R), g, n in zip(splits, best, grain, strict=True)
        ]
        yield splits, targets, gammas


@exercise("13.3", 2, choose_gamma, lambda: list(_tunings()))
def _(answer, truth, splits, targets, gammas):
    """Right: the exponent of the best mean PSNR, and no picture of the test was looked at."""

    def of(measure):
        return gammas[int(np.argmax([measure(g) for g in gammas]))]

    def errors(g, way):
        return [np.mean((way(L, R, g) - t) ** 2) for (L, R), t in zip(splits, targets, strict=True)]

    def plain(L, R, g):
        return np.clip(L**g * R, 0, 1)

    yield of(lambda g: np.mean(np.log(errors(g, plain)))), "That is the worst. More dB are better."
    both = of(lambda g: -np.mean(np.log(errors(g, lambda L, R, g: (L * R) ** g))))
    yield both, "Is R to be raised too?"
    yield not np.isin(answer, gammas), "Return one of the exponents you were given."
    yield (
        of(lambda g: -np.mean(errors(g, plain))),
        """That has the best mean *error*, which one bad
        picture decides. Take each picture's PSNR first, then the mean.""",
    )
    yield True, "For each exponent: every picture's PSNR, and their mean. Which is the highest?"
