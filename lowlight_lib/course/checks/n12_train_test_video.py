"""Exercises of notebook 12."""

from typing import Any

import numpy as np

from .common import ANY, answer_of, exercise


def temporal_mean(clip, reach):
    n = len(clip)
    return np.stack([clip[max(0, t - reach) : t + reach + 1].mean(0) for t in range(n)])


def _clips():
    for seed, (frames, reach) in enumerate(((5, 2), (6, 1), (4, 0))):
        yield np.random.default_rng(seed).random((frames, 2, 2, 3)), reach


@exercise("12.1", 2, temporal_mean, _clips)
def _(answer, truth, clip, reach):
    """Right: the mean over time, with fewer frames at both ends."""
    n = len(clip)
    past = np.stack([clip[max(0, t - reach) : t + 1].mean(0) for t in range(n)])
    short = np.stack([clip[max(0, t - reach) : t + reach].mean(0) for t in range(n)] if reach else [
        clip[t] for t in range(n)])  # fmt: skip
    sums = np.stack([clip[max(0, t - reach) : t + reach + 1].sum(0) for t in range(n)])
    rolled = np.mean([np.roll(clip, k, 0) for k in range(-reach, reach + 1)], 0)
    yield (
        sums / (2 * reach + 1),
        "At the ends there are fewer frames: divide by as many as there are.",
    )
    yield sums, "That is the sum. A mean keeps the brightness."
    yield rolled, "The first frame has no frame before it. You take the last one there."
    yield past, "Only the past? The frames that come after count as well."
    yield short, "The last frame of your window is missing: a slice ends before its end."
    yield True, "For each t: the frames from t - reach to t + reach that there are, and their mean."


def two_means(per_image):
    groups = {}
    for r in per_image:
        groups.setdefault(r["group"], []).append(r["psnr"])
    everything = [v for group in groups.values() for v in group]
    return np.mean(everything), np.mean([np.mean(group) for group in groups.values()])


def _tables():
    for scores in ((("100", 30), ("100", 34), ("250", 20)), (("a", 9), ("b", 1), ("b", 2))):
        yield [{"group": g, "psnr": float(p)} for g, p in scores]


@exercise("12.2", 1, two_means, _tables)
def _(answer, truth, per_image):
    """Right: they differ where some ratios have more clips than others."""
    clips, ratios = truth
    yield (ratios, clips), "You have both, the other way round: over clips first."
    yield (ANY, clips), "The second is the mean over clips again."
    yield True, "Over ratios: first the mean of each group, then of these."


def change_distance(reference, distorted, side=8, noise=1e-4):
    def information(video):
        change = video[1:] - video[:-1]
        t, h, w = change.shape
        blocks = change[:, : h // side * side, : w // side * side]
        blocks = blocks.reshape(t, h // side, side, w // side, side).swapaxes(2, 3)
        variance = blocks.var(axis=(3, 4))
        return np.log2(1 + variance / noise)

    return np.abs(information(reference) - information(distorted)).mean()


def _changes(video, side=8, noise=1e-4, change=np.diff, log=np.log2, spread=np.var):
    """The blocks' information with one thing done another way."""
    c = change(video, axis=0)
    t, h, w = c.shape
    blocks = c[:, : h // side * side, : w // side * side].reshape(
        t, h // side, side, w // side, side
    )
    return log(1 + spread(blocks, axis=(2, 4)) / noise)


@exercise("12.3", 3, change_distance)
def _(function):
    """Right: changes, their blocks, their information, and how far apart two videos are in it."""
    rng = np.random.default_rng(0)
    still = np.repeat(rng.random((1, 24, 33)), 4, 0)
    given = float(answer_of(function, still.copy(), still.copy()))
    assert abs(given) < 1e-9, (
        "Equal videos have a distance of 0. Step 1: subtract frame from frame."
    )
    dirty = np.clip(still + 0.1 * rng.standard_normal(still[:1].shape), 0, 1)
    given = float(function(still.copy(), dirty))
    assert abs(given) < 1e-9, f"""Step 1 of 3: a still video behind a dirty window does not change
        from frame to frame, and yet you find a distance of {given:.3g}. What do you look at: the
        frames, or the differences of neighbours?"""
    for sigma, other in ((0.02, 0.05), (0.1, 0.0)):
        sizes = np.where(np.arange(33) < 16, sigma, other)
        a, b = (still + s * rng.standard_normal(still.shape) for s in (sizes, sizes[::-1]))
        given, truth = float(answer_of(function, a.copy(), b.copy())), change_distance(a, b)
        if abs(given - truth) > 1e-6 * truth:
            raise AssertionError(_what_is_off(given, a, b))
        again = float(function(b.copy(), a.copy()))
        assert abs(given - again) < 1e-9, "Exchange the two, and the distance has to be the same."


def _what_is_off(given, a, b):
    variants: tuple[tuple[str, dict[str, Any]], ...] = (
        ("Step 2 of 3: take the variance of each block, not its standard deviation.",
         {"spread": np.std}),
        ("Step 2 of 3: a change may have a mean. The variance is about it.",
         {"spread": lambda x, axis: np.square(x).mean(axis)}),
        ("Step 3 of 3: information is counted in bits. Which logarithm is that?", {"log": np.log}),
    )  # fmt: skip
    for said, how in variants:
        if abs(given - np.abs(_changes(a, **how) - _changes(b, **how)).mean()) < 1e-6:
            return said
    first, second = _changes(a), _changes(b)
    if abs(given - abs(first.mean() - second.mean())) < 1e-6:
        return """Step 3 of 3: block by block. You compare the means, so that one block's excess can
            pay for another's lack."""
    if abs(given - np.square(first - second).mean()) < 1e-6:
        return "Step 3 of 3: the mean of sizes, not of squares."
    if abs(given - np.abs(first - second).sum()) < 1e-6:
        return "Step 3 of 3: the mean over blocks and changes, not their sum."
    return """Step 2 of 3: blocks of `side` x `side` that do not overlap, from the top left corner;
        what is left at the right and at the bottom is dropped. Each has one variance."""


@exercise("12.4", 1, lambda binary, real, scales: (binary / 8, real * 4, scales * 4),
          [(800, 10, 5), (4_344_768, 163_816, 5_976)])  # fmt: skip
def packed_bytes(answer, truth, binary, real, channels):
    """Right: 543 kB of bits, 655 kB of reals, 24 kB of scales. One parameter in 27 is real, and
    these take more room than all the bits."""
    yield (binary, ANY, ANY), "A byte holds eight bits."
    yield (binary / 8, ANY, ANY), "A float32 has four bytes."
    yield True, "The first number: so many bytes are not what the bits take."


def stream_frames(frames, extract, align, finish):
    waiting, window = [], []
    for frame in frames:
        waiting.append(frame)
        window.append(extract(frame))
        if len(window) == 3:
            done, *window = align(*window)
            yield finish(waiting.pop(0), done)
    for left in window:
        yield finish(waiting.pop(0), left)


class _Camera:
    """Frames 1, 2, ... that come one by one, and how many were taken so far."""

    def __init__(self, length):
        self.length, self.taken, self.asked = length, 0, []

    def __iter__(self):
        for number in range(1, self.length + 1):
            self.taken = number
            yield number

    def extract(self, frame):
        self.asked.append(frame)
        return f"f{frame}"

    @staticmethod
    def align(left, middle, right):
        return f"({left}<{middle})", f"({middle}<{right})", f"({right}>{middle})"


@exercise("12.5", 3, stream_frames)
def _(function):
    """Right: each frame once, two late, and never more than three at a time."""
    for length in (7, 4, 3):
        ours, theirs = _Camera(length), _Camera(length)
        parts = theirs.extract, theirs.align, lambda frame, aligned: (frame, aligned)
        truth = list(stream_frames(ours, ours.extract, ours.align, lambda f, a: (f, a)))
        stream, done, when = iter(answer_of(function, theirs, *parts)), [], []
        for item in stream:
            done.append(item)
            when.append(theirs.taken)
            assert len(done) <= length, f"{length} frames went in, and more than that come out."
        numbers = [item[0] for item in done if isinstance(item, tuple)]
        assert done, "Nothing comes out. Is there a `yield`?"
        assert numbers[: length - 2] == list(range(1, length - 1)), f"""Step 1 of 3: of {length}
            frames came out those with the numbers {numbers}. The left one of three is done."""
        assert sorted(theirs.asked) == list(range(1, length + 1)), f"""Step 1 of 3: `extract` was
            called {len(theirs.asked)} times for {length} frames. Keep what it gave."""
        said = "Step 1 of 3: which features go into the next window? What `align` gave back for"
        assert done[: length - 2] == truth[: length - 2], (
            f"{said} two of the frames, and a new one."
        )
        assert numbers == list(range(1, length + 1)), f"""Step 2 of 3: at the end two frames still
            wait; out came {numbers}. When the video is over, they are done as well."""
        assert done == truth, "Step 2 of 3: the last two are as far aligned as can be. Take that."
        late = [taken - number for taken, number in zip(when, numbers, strict=True)]
        assert max(late) <= 2, f"""Step 3 of 3: frame {numbers[0]} came out after {when[0]} frames
            had been read. Give it back as soon as it is done, or memory grows with the video."""
