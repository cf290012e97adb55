"""Exercises of notebook 16."""

import numpy as np

from .common import answer_of, exercise

_WORDS = ("no", "yes")


def same_race(a, b):
    keys = ("dataset", "split", "camera", "amplification", "m", "match_colour", "levels")
    pictures = [sorted(i["name"] for i in row["per_image"]) for row in (a, b)]
    same = all(a.get(k) == b.get(k) for k in (*keys, "protocol"))
    return same and pictures[0] == pictures[1]


def _row(**other) -> dict:
    images = [{"name": f"{i}", "psnr": 20.0 + i} for i in range(3)]
    row = {"model": "redi", "dataset": "sid", "split": "test", "protocol": "default"}
    row |= {"amplification": "ratio", "images": 3, "psnr": 21.0, "per_image": images}
    row |= {"camera": "Sony ILCE-7SM2", "match_colour": False, "levels": None, "m": None}
    return row | other


@exercise("16.1", 2, same_race)
def _(function):
    """Right: same pictures, same knowledge, same ruler. Only then is a difference one."""
    ours = _row()
    others = [{"name": f"{i}", "psnr": 20.0} for i in (7, 8, 9)]
    cases = (
        (_row(model="sid", psnr=19.0, seconds_train=9.0), "another system is the point"),
        (_row(dataset="lol"), "two data sets are two questions"),
        (_row(split="train"), "on its own training pictures everybody shines"),
        (_row(protocol="truncate"), "two protocols round differently"),
        (_row(amplification="auto"), "one is told the exposure ratio, the other guesses it"),
        (_row(camera="NIKON D850"), "the names are the same, the cameras are not"),
        (_row(match_colour=True), "one was given the colours of its training"),
        (_row(per_image=others), "as many pictures, but other ones"),
        (_row(per_image=ours["per_image"][::-1]), "the order of the pictures is no matter"),
    )
    for other, why in cases:
        for a, b in ((ours, other), (other, ours)):
            truth = same_race(a, b)
            fits = bool(answer_of(function, a, b)) == truth
            assert fits, f"The answer is {_WORDS[truth]}: {why}."


def _scores():
    rng = np.random.default_rng(0)
    for n in (5, 12):
        b = rng.normal(20, 4, n)
        yield b + rng.normal(1, 0.5, n), b


@exercise("16.2", 2, lambda a, b: np.std(a - b, ddof=1) / np.sqrt(len(a)), _scores)
def error_of_difference(answer, truth, a, b):
    """Right: what all pictures have in common, easy or hard, drops out of the difference."""
    apart = np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / len(a))
    yield apart, "So it would be if the two had been tested on different pictures."
    spread = np.std(a - b, ddof=1)
    yield spread, "That is the spread of one picture's difference; the mean of n is steadier."
    yield np.std(a - b) / np.sqrt(len(a)), "Your mean came from these n as well: ddof=1."
    yield True, "Subtract first: each picture is its own control. Then its error."


def beats(a, b):
    return a[0] <= b[0] and a[1] >= b[1] and a != b


@exercise("16.3", 1, beats)
def _(function):
    """Right: no worse in both, better in one."""
    for a, b in np.random.default_rng(1).integers(0, 3, (200, 2, 2)).tolist():
        answer = bool(answer_of(function, tuple(a), tuple(b)))
        hint = "Less cost is better, more quality is better."
        if a == b:
            hint = "Equal choices do not beat each other, or both would be thrown away."
        elif a[0] == b[0] or a[1] == b[1]:
            hint = "A tie in one of the two is no excuse: the other decides."
        elif (a[0] < b[0]) == (a[1] < b[1]):
            hint = "Each is better at something: then neither beats the other."
        assert answer == beats(a, b), f"{a} against {b}: you say {_WORDS[answer]}. {hint}"


def choose(rows, seconds, mib):
    fit = [r for r in rows if r["s_per_mp"] <= seconds and r["mib"] is not None and r["mib"] <= mib]
    return max(fit, key=lambda r: r["psnr"], default=None)


@exercise("16.4", 2, choose)
def _(function):
    """Right: first what is affordable, then the best of it; and sometimes nothing."""
    rng = np.random.default_rng(2)
    for n in (6, 6, 1, 1, 0):
        rows = [
            {"psnr": float(p), "s_per_mp": float(s), "mib": None if i == 2 else float(m)}
            for i, (p, s, m) in enumerate(rng.integers(1, 9, (n, 3)) + rng.random((n, 3)))
        ]
        for _ in range(20):
            seconds, mib = (float(v) for v in rng.integers(1, 10, 2))
            if rows and rng.random() < 0.3:
                seconds = rows[0]["s_per_mp"]  # just within
            _one_choice(function, rows, seconds, mib)


def _one_choice(function, rows, seconds, mib):
    answer = function([dict(r) for r in rows], seconds, mib)
    if answer == choose(rows, seconds, mib):
        return
    hint = "Best is the highest psnr."
    if answer is None:
        hint = "Something fits (at most: the limit itself will do). Is there a `return`?"
    elif answer in rows and choose([answer], seconds, mib) is None:
        hint = "Your choice needs more time or memory than there is. If nothing fits: None."
        if answer["mib"] is None:
            hint = "Your choice's memory was never measured: it promises nothing."
    budget = f"{len(rows)} rows, at most {seconds:.1f} s and {mib:.0f} MiB"
    raise AssertionError(f"{budget}: not {str(answer)[:80]}. {hint}")
