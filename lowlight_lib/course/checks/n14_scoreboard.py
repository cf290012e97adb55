"""Checks of notebook 14."""

import numpy as np

from ..scoreboard import pareto_front
from .common import Judge, answer_of

_WORDS = ("no", "yes")


def _row(**other) -> dict:
    images = [{"name": f"{i}", "psnr": 20.0 + i} for i in range(3)]
    row = {"model": "redi", "dataset": "sid", "split": "test", "protocol": "default"}
    row |= {"amplification": "ratio", "images": 3, "psnr": 21.0, "per_image": images}
    row |= {"camera": "Sony ILCE-7SM2", "match_colour": False, "levels": None, "m": None}
    return row | other


def same_race(function) -> None:
    """Exercise 14/1.1: function(a, b) -> whether two rows of results.json may be compared."""
    ours = _row()
    others = [{"name": f"{i}", "psnr": 20.0} for i in (7, 8, 9)]
    cases = (
        (_row(model="sid", psnr=19.0, seconds_train=9.0), True, "another system is the point"),
        (_row(dataset="lol"), False, "two data sets are two questions"),
        (_row(split="train"), False, "on its own training pictures everybody shines"),
        (_row(protocol="truncate"), False, "two protocols round differently"),
        (_row(amplification="auto"), False, "one is told the exposure ratio, the other guesses it"),
        (_row(camera="NIKON D850"), False, "the names are the same, the cameras are not"),
        (_row(match_colour=True), False, "one was given the colours of its training"),
        (_row(per_image=others), False, "as many pictures, but other ones"),
        (_row(per_image=ours["per_image"][::-1]), True, "the order of the pictures is no matter"),
    )
    for other, truth, why in cases:
        for a, b in ((ours, other), (other, ours)):
            answer = bool(answer_of(function, a, b))
            assert answer == truth, f"The answer is {_WORDS[truth]}: {why}."
    print("Right: same pictures, same knowledge, same ruler. Only then is a difference one.")


def error_of_difference(function) -> None:
    """Exercise 14/3.1: function(a, b) -> standard error of the mean difference."""
    rng = np.random.default_rng(0)
    for n in (5, 12):
        b = rng.normal(20, 4, n)
        a = b + rng.normal(1, 0.5, n)
        spread = np.std(a - b, ddof=1)
        hint = Judge(function, (a.copy(), b.copy()), spread / np.sqrt(n))
        apart = np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / n)
        hint[apart] = "So it would be if the two had been tested on different pictures."
        hint[spread] = "That is the spread of one picture's difference; the mean of n is steadier."
        hint[np.std(a - b) / np.sqrt(n)] = "Your mean came from these n as well: ddof=1."
        hint[...] = "Subtract first: each picture is its own control. Then its error."
    print("Right: what all pictures have in common, easy or hard, drops out of the difference.")


def beats(function) -> None:
    """Exercise 14/5.1: function(a, b) -> whether choice a, (cost, quality), makes b pointless."""
    for a, b in np.random.default_rng(1).integers(0, 3, (200, 2, 2)).tolist():
        truth = not pareto_front(*zip(a, b, strict=True))[1]
        answer = bool(answer_of(function, tuple(a), tuple(b)))
        hint = "Less cost is better, more quality is better."
        if a == b:
            hint = "Equal choices do not beat each other, or both would be thrown away."
        elif a[0] == b[0] or a[1] == b[1]:
            hint = "A tie in one of the two is no excuse: the other decides."
        elif (a[0] < b[0]) == (a[1] < b[1]):
            hint = "Each is better at something: then neither beats the other."
        assert answer == truth, f"{a} against {b}: you say {_WORDS[answer]}. {hint}"
    print("Right: no worse in both, better in one.")


def choose(function) -> None:
    """Exercise 14/5.2: function(rows, seconds, mib) -> the best row within both, or None."""
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
    print("Right: first what is affordable, then the best of it; and sometimes nothing.")


def _one_choice(function, rows, seconds, mib):
    fit = [r for r in rows if r["s_per_mp"] <= seconds and (r["mib"] or np.inf) <= mib]
    truth = max(fit, key=lambda r: r["psnr"], default=None)
    answer = function([dict(r) for r in rows], seconds, mib)
    if answer == truth:
        return
    hint = "Best is the highest psnr."
    if answer is None:
        hint = "Something fits (at most: the limit itself will do). Is there a `return`?"
    elif answer in rows and answer not in fit:
        hint = "Your choice needs more time or memory than there is. If nothing fits: None."
        if answer["mib"] is None:
            hint = "Your choice's memory was never measured: it promises nothing."
    budget = f"{len(rows)} rows, at most {seconds:.1f} s and {mib:.0f} MiB"
    raise AssertionError(f"{budget}: not {answer}. {hint}")
