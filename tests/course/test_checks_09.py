"""The checks of notebook 09 accept right answers and answer wrong ones with a hint."""

import itertools

import numpy as np
import torch
from support.checks import accepts, laws

from lowlight_lib.blocks import retinex


def constant(image, light=0.5, paint=0.5):
    grey = torch.full_like(image, paint)
    return torch.full_like(image[:, :1], light), grey, light * grey


def rough(image):
    L, R, _ = constant(image)
    L = 0.2 + 0.1 * image[:, :1]
    return L, R, L * R


def all_light(image):
    L = torch.ones_like(image[:, :1])
    return L, image, image


numbers = itertools.count(1)


def moody(image):
    return constant(image, paint=1 / next(numbers))


def checkers(h, w):
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return (y + x) % 2


def halo(radius):
    side = 6 * radius + 6
    wall = torch.ones(1, 3, side, 2 * side)
    wall[..., side:] = 0.1  # the shade begins here
    light = retinex.decompose(wall, radius).L[0, 0, side // 2]
    assert torch.all(light[:side] > 1 - 1e-4)  # the bright side is never touched
    return (light[side:] > 0.1 + 1e-4).sum()


def contrast(ratio, gamma):
    light = torch.tensor(0.07, dtype=torch.float64)
    threads = 0.2 * torch.tensor([ratio, 1], dtype=torch.float64)
    pairs = (light * threads) ** gamma, retinex.recompose(light, threads, gamma)
    return tuple((bright / dark).item() for bright, dark in pairs)


def left_open(k):
    """In logarithms each number is a sum: log I = log L of its exposure + log R of its colour."""
    system = np.zeros((3 * k, k + 3))
    for exposure, colour in np.ndindex(k, 3):
        system[3 * exposure + colour, [exposure, k + colour]] = 1
    return system.shape[1] - np.linalg.matrix_rank(system)


RIGHT = {
    "halo_width": halo,
    "contrast_left": contrast,
    "freedoms": left_open,
    "cheat": constant,
    "invisible_light": checkers,
    "light_of_half": lambda w: (w - 1) ** -0.5,
}
WRONG = [
    ("halo_width", lambda r: r, "mean behind it"),
    ("halo_width", lambda r: 2 * r + 1, "side of a window"),
    ("halo_width", lambda r: 4 * r, "both sides"),
    ("halo_width", lambda r: 7, "Write the row down"),
    ("contrast_left", lambda ratio, gamma: (ratio, ratio**gamma), "other order"),
    ("contrast_left", lambda ratio, gamma: (ratio * gamma, ratio), "First number"),
    ("contrast_left", lambda ratio, gamma: (ratio**gamma, ratio**gamma), "Second number"),
    ("freedoms", lambda k: 3 - 2 * k, "say something new"),
    ("freedoms", lambda k: max(3 - 2 * k, 0), "single answer"),
    ("freedoms", lambda k: k, "Suppose somebody"),
    ("cheat", lambda image: constant(image)[:1] * 3, "R has shape"),
    ("cheat", lambda image: constant(image, light=0.0), "not a number"),
    ("cheat", lambda image: constant(image, paint=1.5), "leaves the range"),
    ("cheat", lambda image: (*constant(image)[:2], image), "yours to choose"),
    ("cheat", rough, "smoothest"),
    ("cheat", all_light, "whatever one"),
    ("cheat", moody, "two different splits"),
    ("invisible_light", lambda h, w: torch.ones(h, w), "differ by 0 only"),
    ("invisible_light", lambda h, w: checkers(h, w)[:, :1], "not \\("),
    ("invisible_light", lambda h, w: 2 * checkers(h, w), "between 0 and 1"),
    ("invisible_light", lambda h, w: torch.arange(w).expand(h, w) % 2, "below the other"),
    ("invisible_light", lambda h, w: torch.arange(h)[:, None].expand(h, w) % 2, "beside the other"),
    ("invisible_light", lambda h, w: torch.eye(max(h, w))[:h, :w], "Which pixels"),
    ("light_of_half", lambda w: (w - 1) ** 0.5, "1 / L"),
    ("light_of_half", lambda w: 1 / (w - 1), "L\\^2"),
    ("light_of_half", lambda w: 0.3, "There the share is 2%"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)


def test_at_the_light_of_half_the_library_s_loss_leaves_half_of_the_noise():
    for weight in (5.0, 500.0):
        L, R = (
            torch.full((1, 1, 3, 3), v, dtype=torch.float64) for v in ((weight - 1) ** -0.5, 0.6)
        )
        image, X = L * R + 0.01, (L * R + 0.005).requires_grad_()
        loss = retinex.retinex(image, retinex.Decomposition(L, R, X))
        (loss + weight * retinex.projection(image, X)).backward()
        assert X.grad.abs().max() < 1e-9


def test_a_light_of_numpy_is_light_too():
    accepts("invisible_light", lambda h, w: checkers(h, w).numpy())
