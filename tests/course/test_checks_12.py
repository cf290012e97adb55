"""The checks of notebook 12 accept right answers and answer wrong ones with a hint."""

import itertools

import numpy as np
from scipy.ndimage import uniform_filter1d
from support.checks import laws


def means(rows):
    groups = {}
    for r in rows:
        groups.setdefault(r["group"], []).append(r["psnr"])
    return np.mean([r["psnr"] for r in rows]), np.mean([np.mean(g) for g in groups.values()])


def by_filter(clip, reach):
    """A mean filter over time, with what lies outside taken for 0, over the weights that are in."""
    size = 2 * reach + 1
    inside = uniform_filter1d(np.ones(len(clip)), size, mode="constant")
    done = uniform_filter1d(clip, size, axis=0, mode="constant")
    return done / inside.reshape(-1, *[1] * (clip.ndim - 1))


def window(clip, first, last, f=np.mean):
    n = range(len(clip))
    return np.stack([f(clip[max(0, t + first) : t + last + 1], axis=0) for t in n])


def rolled(clip, reach):
    return np.mean([np.roll(clip, k, 0) for k in range(-reach, reach + 1)], 0)


def bits(video, side=8, change=1, log=np.log2, spread=np.var):
    """The information of each block of each change, block by block."""
    video = video[change:] - video[:-change] if change else video
    tops, lefts = (range(0, n - side + 1, side) for n in video.shape[1:])
    blocks = [
        [spread(frame[y : y + side, x : x + side]) for y, x in itertools.product(tops, lefts)]
        for frame in video
    ]
    return log(1 + np.array(blocks) / 1e-4)


def distance(a, b, reduce=lambda p, q: np.abs(p - q).mean(), **how):
    return reduce(bits(a, **how), bits(b, **how))


def stream(frames, extract, align, finish, slip=""):
    kept, window = [], []
    for frame in list(frames) if slip == "reads all" else frames:
        kept.append(frame)
        window.append(extract(frame))
        if len(window) < 3:
            continue
        if slip == "again":
            window = [extract(f) for f in kept]
        aligned = align(*window)
        yield finish(kept.pop(0 if slip != "newest" else -1), aligned[0])
        window = window[1:] if slip == "unaligned" else list(aligned[1:])
        if slip == "newest":
            kept = kept[-2:]
    if slip == "last again":
        window = [align(window[0], window[1], window[1])[0], window[1]]
    if slip != "no end":
        yield from (finish(k, w) for k, w in zip(kept, window, strict=True))


def slipped(slip):
    return lambda *args: stream(*args, slip=slip)


RIGHT = {
    "temporal_mean": by_filter,
    "two_means": means,
    "change_distance": distance,
    "packed_bytes": lambda b, r, c: (b / 8, 4 * r, 4 * c),
    "stream_frames": stream,
}
WRONG = [
    ("temporal_mean", lambda c, r: window(c, -r, r, np.sum), "That is the sum"),
    ("temporal_mean", lambda c, r: window(c, -r, r, np.sum) / (2 * r + 1), "fewer frames"),
    ("temporal_mean", rolled, "no frame before it"),
    ("temporal_mean", lambda c, r: window(c, -r, 0), "Only the past"),
    ("temporal_mean", lambda c, r: window(c, -r, r - 1), "ends before its end"),
    ("temporal_mean", lambda c, r: 0 * c, "For each t"),
    ("two_means", lambda rows: means(rows)[::-1], "other way round"),
    ("two_means", lambda rows: (means(rows)[0],) * 2, "over clips again"),
    ("two_means", lambda rows: (0, 0), "first the mean"),
    ("change_distance", lambda a, b: 1.0, "Equal videos"),
    ("change_distance", lambda a, b: distance(a, b, change=0), "Step 1 of 3"),
    ("change_distance", lambda a, b: distance(a, b, spread=np.std), "standard deviation"),
    (
        "change_distance",
        lambda a, b: distance(a, b, spread=lambda x: np.square(x).mean()),
        "about it",
    ),
    ("change_distance", lambda a, b: distance(a, b, log=np.log), "in bits"),
    (
        "change_distance",
        lambda a, b: distance(a, b, lambda p, q: abs(p.mean() - q.mean())),
        "excess",
    ),
    (
        "change_distance",
        lambda a, b: distance(a, b, lambda p, q: np.square(p - q).mean()),
        "not of squares",
    ),
    (
        "change_distance",
        lambda a, b: distance(a, b, lambda p, q: np.abs(p - q).sum()),
        "not their sum",
    ),
    ("change_distance", lambda a, b: distance(a, b, side=6), "that do not overlap"),
    ("packed_bytes", lambda b, r, c: (b, r, c), "eight bits"),
    ("packed_bytes", lambda b, r, c: (b / 4, r, c), "are not"),
    ("packed_bytes", lambda b, r, c: (b / 8, r / 8, c / 8), "four bytes"),
    ("packed_bytes", lambda b, r, c: (b / 8, 4 * r, c), "four bytes"),
    ("stream_frames", lambda *args: iter(()), "a `yield`"),
    ("stream_frames", slipped("newest"), "The left one of three"),
    ("stream_frames", slipped("again"), "Keep what it gave"),
    ("stream_frames", slipped("unaligned"), "What `align` gave back"),
    ("stream_frames", slipped("no end"), "two frames still"),
    ("stream_frames", slipped("last again"), "as far aligned as can be"),
    ("stream_frames", slipped("reads all"), "as soon as it is done"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)
