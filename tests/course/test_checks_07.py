"""The checks of notebook 07 accept right answers and answer wrong ones with a hint."""

import numpy as np
from support.checks import laws

from lowlight_lib.blocks.shift import OFFSETS
from lowlight_lib.course import checks


def guess(dy, dx):
    nearest = (4 * round(dy / 4), 4 * round(dx / 4))
    return OFFSETS.index(nearest) if nearest in OFFSETS else -1


def covered(reach):
    return (min(5 * (2 * reach + 1), 21) / 21) ** 2  # at 2 neighbours overlap


def goes(frame, channel, row, column):
    down = (8, 4, 0)[frame]
    return (frame, channel + 8, row + down, column) if channel < 16 and row + down < 40 else None


def survive(channels, height):
    rows = [max(height - r, 0) / height for r in (8, 4, 0)]
    return max(channels - 8, 0) / channels * sum(rows) / 3


def extract(frame):
    return np.tanh(frame)


def align(*window):
    return [0.5 * f + 0.5 * sum(window) / 3 for f in window]


def reconstruct(frame, deep, aligned):
    return frame + 0.5 * deep + 0.25 * aligned


def stream(frames, last=True, refined=False, late=0):
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


def whole_clip(frames):
    frames = np.array(list(frames))
    return [reconstruct(frames, extract(f), f) for f in frames]


TOY = (extract, align, reconstruct)
RIGHT = {
    "steps_needed": (lambda frames: frames - 1,),
    "guess_for": (guess,),
    "share_covered": (covered,),
    "where_it_goes": (goes,),
    "share_lost": (lambda c, h: 1 - survive(c, h),),
    "stream": (stream, *TOY),
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
    ("where_it_goes", lambda t, c, r, x: None, "something does"),
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
    ("stream", lambda f: stream(f, last=False), "last two are missing"),
    ("stream", lambda f: stream(f, refined=True), "through `align` already"),
    ("stream", lambda f: stream(f, late=1), "another frame"),
    ("stream", whole_clip, "One frame belongs to each"),
    ("stream", lambda f: iter([]), "0 came out"),
    ("stream", lambda f: (0 * y for y in stream(f)), "line by line"),
    ("stream", lambda f: list(stream(f)), "too late"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)


def test_a_list_is_a_place_too():
    checks.where_it_goes(lambda *probe: goes(*probe) and list(goes(*probe)))
