"""The checks of notebook 08 accept right answers and answer wrong ones with a hint."""

import itertools

import torch
from support.checks import laws

from lowlight_lib.course import checks


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


RIGHT = {
    "halo_width": (lambda r: 2 * r,),
    "contrast_left": (lambda ratio, gamma: (ratio**gamma, ratio),),
    "freedoms": (lambda k: 1,),
    "cheat": (constant,),
    "invisible_light": (checkers,),
    "light_of_half": (lambda w: (w - 1) ** -0.5,),
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
    ("freedoms", lambda k: max(3 - 2 * k, 0), "one answer"),
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


def test_a_light_of_numpy_is_light_too():
    checks.invisible_light(lambda h, w: checkers(h, w).numpy())
