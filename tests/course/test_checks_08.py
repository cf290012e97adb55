"""The checks of notebook 08 accept right answers and answer wrong ones with a hint."""

import numpy as np
import torch
from support.checks import accepts, laws
from torch.nn import functional as F

from lowlight_lib.blocks.shift import OFFSETS, spatial_shift, temporal_shift


def guess(dy, dx):
    nearest = (4 * round(dy / 4), 4 * round(dx / 4))
    return OFFSETS.index(nearest) if nearest in OFFSETS else -1


def covered(reach):
    return (min(5 * (2 * reach + 1), 21) / 21) ** 2  # at 2 neighbours overlap


def steps(frames):
    """Shifts until every frame has heard of all; the layer behind each mixes the channels."""
    known, n = torch.eye(frames).view(1, frames, 1, frames, 1).expand(-1, -1, 2, -1, -1), 0
    while not known.all():  # (1, T, 2 channels, which frames they know, 1)
        known = temporal_shift(known, reverse=n % 2 == 1).amax(2, keepdim=True)
        known, n = known.expand(-1, -1, 2, -1, -1), n + 1
    return n


def moved():
    lit = torch.zeros(1, 1, 24, 25, 25)
    lit[..., 12, 12] = 1
    return lit, spatial_shift(lit, "intended")


def nearest(dy, dx):
    went = moved()[1][0, 0].nonzero()[:, 1:] - 12  # (24, 2)
    went = torch.cat([torch.zeros(1, 2), went])  # the unmoved copy first: number -1
    return int((went - torch.tensor([dy, dx])).square().sum(1).argmin()) - 1


def near_a_copy(reach):
    copies = torch.cat(moved(), 2)[0].amax(1, keepdim=True)
    near = F.max_pool2d(copies, 2 * reach + 1, 1, reach)
    return near[..., 2:-2, 2:-2].mean().item()  # motions up to 10


def goes(frame, channel, row, column):
    down = (8, 4, 0)[frame]
    return (frame, channel + 8, row + down, column) if channel < 16 and row + down < 40 else None


def survive(channels, height):
    rows = [max(height - r, 0) / height for r in (8, 4, 0)]
    return max(channels - 8, 0) / channels * sum(rows) / 3


def stream(frames, extract, align, reconstruct, last=True, refined=False, late=0):
    waiting, window = [], []
    for frame in frames:
        waiting.append((frame, extract(frame)))
        window.append(waiting[-1][1])
        if len(window) == 3:
            first = window[0]
            done, *window = align(*window)
            frame, deep = waiting.pop(0)
            other = waiting[0][0] if late else frame
            yield reconstruct(other, first if refined else deep, done)
    if last:
        for (frame, deep), done in zip(waiting, window, strict=True):
            yield reconstruct(frame, deep, done)


def whole_clip(frames, extract, align, reconstruct):
    frames = np.array(list(frames))
    return [reconstruct(frames, extract(f), f) for f in frames]


RIGHT = {
    "steps_needed": steps,
    "guess_for": nearest,
    "share_covered": near_a_copy,
    "where_it_goes": goes,
    "share_lost": lambda c, h: 1 - survive(c, h),
    "stream": stream,
}


def off_by(**axes):
    def wrong(frame, channel, row, column):
        place = goes(frame, channel, row, column)
        names = ("frame", "channel", "row", "column")
        return place and tuple(v + axes.get(n, 0) for n, v in zip(names, place, strict=True))

    return wrong


WRONG = [
    ("steps_needed", lambda t: t, "After \\*no\\* step"),
    ("steps_needed", lambda t: t // 2, "one side at a time"),
    ("steps_needed", lambda t: 2 * t, "how many more"),
    ("guess_for", lambda dy, dx: guess(-dy, -dx), "the other way"),
    ("guess_for", lambda dy, dx: guess(dx, dy), "down for right"),
    ("guess_for", lambda dy, dx: guess(dy, dx) + (guess(dy, dx) >= 12), "no place among"),
    ("guess_for", lambda dy, dx: 11 if guess(dy, dx) < 0 else guess(dy, dx), "nobody has moved"),
    ("guess_for", lambda dy, dx: OFFSETS.index((4 * round(dy / 4), 4 * round(dx / 4))), "call it"),
    ("guess_for", lambda dy, dx: 5, "Round each direction"),
    ("share_covered", lambda r: covered(r) ** 0.5, "one direction"),
    ("share_covered", lambda r: covered(r) - (2 * r + 1) ** 2 / 441, "unmoved one"),
    ("share_covered", lambda r: 0.9, "21 motions"),
    ("where_it_goes", lambda t, c, r, x: [].append(t), "something does"),
    ("where_it_goes", lambda t, c, r, x: (t, c + 8, r + (8, 4, 0)[t], x), "run out of"),
    ("where_it_goes", lambda t, c, r, x: (t, c, r), "Four numbers"),
    ("where_it_goes", off_by(frame=1), "leave its frame"),
    ("where_it_goes", off_by(channel=-8), "one channel after the other"),
    ("where_it_goes", lambda t, c, r, x: (t, c + 8, r + 8, x), "all three frames"),
    ("where_it_goes", off_by(column=4), "nothing but their column"),
    ("share_lost", survive, "survives"),
    ("share_lost", lambda c, h: 8 / c, "out of the bottom"),
    ("share_lost", lambda c, h: 8 / c + 4 / h, "counts twice"),
    ("share_lost", lambda c, h: 0.2, "average over the frames"),
    ("stream", lambda *a: stream(*a, last=False), "last two are missing"),
    ("stream", lambda *a: stream(*a, refined=True), "through `align` already"),
    ("stream", lambda *a: stream(*a, late=1), "another frame"),
    ("stream", whole_clip, "One frame belongs to each"),
    ("stream", lambda *a: iter([]), "0 came out"),
    ("stream", lambda *a: (0 * y for y in stream(*a)), "line by line"),
    ("stream", lambda *a: list(stream(*a)), "too late"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)


def test_a_list_is_a_place_too():
    accepts("where_it_goes", lambda *probe: goes(*probe) and list(goes(*probe)))
