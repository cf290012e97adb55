"""The checks of notebook 08 accept right answers and answer wrong ones with a hint."""

import numpy as np
import torch
from support.checks import accepts, laws
from torch.nn import functional as F

from lowlight_lib.blocks.shift import OFFSETS, spatial_shift


def covered(reach):
    return (min(5 * (2 * reach + 1), 21) / 21) ** 2  # at 2 neighbours overlap


def halves(x, reverse=False):
    """Frame by frame, from the halves."""
    n, h = x.shape[1], x.shape[2] // 2
    out = torch.empty_like(x)
    for t in range(n):
        first, second = (t, (t + 1) % n) if reverse else ((t - 1) % n, t)
        out[:, t] = torch.cat([x[:, first, h:], x[:, second, :h]], 1)
    return out


def crossed(x, reverse=False):
    return halves(x, reverse).roll(x.shape[2] // 2, 2)


def held(x, reverse=False):
    """TSM's way: what moves is replaced in place, so the other half of the neighbour comes."""
    out, h = x.clone(), x.shape[2] // 2
    part = slice(h, None) if reverse else slice(0, h)
    out[:, :, part] = x[:, :, part].roll(-1 if reverse else 1, 1)
    return out


def open_ended(x, reverse=False):
    out, h = halves(x, reverse), x.shape[2] // 2
    if reverse:
        out[:, -1, h:] = 0
    else:
        out[:, 0, :h] = 0
    return out


def leaking(x, reverse=False):
    h = x.shape[2] // 2
    return x.flatten(0, 2).roll(-h if reverse else h, 0).view_as(x)


def only_forward(x, reverse=False):
    return halves(x, not reverse)


def padded(x, offsets=OFFSETS, dealt=False):
    """The fan by padding and slices."""
    n, (h, w) = x.shape[2] // 24, x.shape[3:]
    wide = F.pad(x, [8] * 4)
    where = [offsets[k % 24 if dealt else k // n] for k in range(24 * n)]
    cut = [wide[:, :, k, 8 - a : 8 - a + h, 8 - b : 8 - b + w] for k, (a, b) in enumerate(where)]
    return torch.stack(cut, 2)


def going_round(x):
    groups = zip(x.chunk(24, 2), OFFSETS, strict=True)
    return torch.cat([g.roll(way, (3, 4)) for g, way in groups], 2)


def with_the_middle(x):
    ways = [(dy, dx) for dy in range(-8, 9, 4) for dx in range(-8, 9, 4)][:24]
    return padded(x, ways)


def moved():
    lit = torch.zeros(1, 1, 24, 25, 25)
    lit[..., 12, 12] = 1
    return lit, spatial_shift(lit, "intended")


def near_a_copy(reach):
    copies = torch.cat(moved(), 2)[0].amax(1, keepdim=True)
    near = F.max_pool2d(copies, 2 * reach + 1, 1, reach)
    return near[..., 2:-2, 2:-2].mean().item()  # motions up to 10


def goes(frame, channel, row, column):
    down = (8, 4, 0)[frame]
    return (frame, channel + 8, row + down, column) if channel < 16 and row + down < 40 else None


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
    "temporal_shift": halves,
    "fan": padded,
    "share_covered": near_a_copy,
    "where_it_goes": goes,
    "stream": stream,
}


def off_by(**axes):
    def wrong(frame, channel, row, column):
        place = goes(frame, channel, row, column)
        names = ("frame", "channel", "row", "column")
        return place and tuple(v + axes.get(n, 0) for n, v in zip(names, place, strict=True))

    return wrong


WRONG = [
    ("temporal_shift", lambda x, reverse: x[0], "became"),
    ("temporal_shift", lambda x, reverse: x.tolist(), "return a tensor"),
    ("temporal_shift", only_forward, "you shift in reverse"),
    ("temporal_shift", lambda x, reverse: halves(x), "news has to come from the future"),
    (
        "temporal_shift",
        lambda x, reverse: halves(x, reverse).roll(x.shape[2] // 2, 2),
        "wrong side",
    ),
    ("temporal_shift", held, "other half"),
    ("temporal_shift", lambda x, back: held(x) if back else halves(x), "number all channels"),
    ("temporal_shift", lambda x, back: held(x, back) if back else halves(x), "other half"),
    ("temporal_shift", lambda x, reverse: x.roll(-1 if reverse else 1, 1), "whole frames"),
    ("temporal_shift", open_ended, "circle"),
    ("temporal_shift", leaking, "Step 3: channels wander"),
    ("temporal_shift", lambda x, reverse: x, "number all channels"),
    ("fan", lambda x: x[:, :, :12], "one of the same shape"),
    ("fan", lambda x: torch.ones_like(x), "one pixel lit"),
    ("fan", lambda x: padded(x, [(-a, -b) for a, b in OFFSETS]), "against its offset"),
    ("fan", lambda x: padded(x, [(b, a) for a, b in OFFSETS]), "changed places"),
    ("fan", with_the_middle, "middle is left out"),
    ("fan", going_round, "comes in at the other"),
    ("fan", lambda x: padded(x).clamp(max=1), "corner of channel 0"),
    ("fan", lambda x: padded(x, dealt=True), "0 and 1 go the same way"),
    ("fan", lambda x: padded(x).flip(2) if x.shape[2] > 24 else padded(x), "two neighbours"),
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
