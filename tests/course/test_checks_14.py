"""The checks of notebook 14 take the right answer, and say what is wrong with wrong ones."""

import numpy as np
from support.checks import refuses

from lowlight_lib.course import checks


def agree(keys):
    return lambda a, b: all(a[k] == b[k] for k in keys)


def test_same_race():
    keys = ("dataset", "split", "protocol", "amplification", "camera", "match_colour")

    def right(a, b):
        names = [sorted(i["name"] for i in row["per_image"]) for row in (a, b)]
        return agree(keys)(a, b) and names[0] == names[1]

    checks.same_race(right)
    refuses(checks.same_race, agree(keys), "other ones")
    refuses(checks.same_race, agree((*keys, "images")), "other ones")
    refuses(checks.same_race, agree((*keys, "per_image")), "order of the pictures")
    refuses(checks.same_race, agree(("model",)), "the point")
    refuses(checks.same_race, lambda a, b: right(a | {"split": 0}, b | {"split": 0}), "shines")
    refuses(checks.same_race, lambda a, b: True, "two data sets")
    refuses(checks.same_race, lambda a, b: right(a | {"camera": 0}, b | {"camera": 0}), "cameras")
    blind = lambda a, b: right(a | {"match_colour": 0}, b | {"match_colour": 0})  # noqa: E731
    refuses(checks.same_race, blind, "colours of its training")


def test_error_of_difference():
    check = checks.error_of_difference
    check(lambda a, b: np.std(a - b, ddof=1) / len(a) ** 0.5)
    refuses(check, lambda a, b: np.std(a - b) / len(a) ** 0.5, "ddof=1")
    refuses(check, lambda a, b: np.std(a - b, ddof=1), "steadier")
    apart = lambda a, b: np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / len(a))  # noqa: E731
    refuses(check, apart, "different pictures")
    refuses(check, lambda a, b: 0.0, "Subtract first")


def test_beats():
    def right(a, b):
        return a[0] <= b[0] and a[1] >= b[1] and a != b

    checks.beats(right)
    refuses(checks.beats, lambda a, b: a[0] <= b[0] and a[1] >= b[1], "Equal choices")
    refuses(checks.beats, lambda a, b: a[0] < b[0] and a[1] > b[1], "A tie")
    refuses(checks.beats, lambda a, b: a[1] >= b[1] and a != b, "you say yes")


def test_choose():
    check, inf = checks.choose, float("inf")

    def within(rows, seconds, mib):
        return [r for r in rows if r["s_per_mp"] <= seconds and (r["mib"] or inf) <= mib]

    def best(rows):
        return max(rows, key=lambda r: r["psnr"], default=None)

    check(lambda rows, s, m: best(within(rows, s, m)))
    refuses(check, lambda rows, s, m: best(within(rows, s, inf)), "more time or memory")
    refuses(check, lambda rows, s, m: best(within(rows, inf, m)), "more time or memory")
    refuses(check, lambda rows, s, m: best(within(rows, s, m) or rows), "If nothing fits: None")
    unmeasured = lambda rows, s, m: best([r for r in within(rows, s, inf) if (r["mib"] or 0) <= m])  # noqa: E731
    refuses(check, unmeasured, "never measured")
    refuses(check, lambda rows, s, m: None, "Something fits")
    worst = lambda rows, s, m: min(within(rows, s, m), key=lambda r: r["psnr"], default=None)  # noqa: E731
    refuses(check, worst, "highest psnr")
    strict = lambda rows, s, m: best([r for r in within(rows, s, m) if r["s_per_mp"] < s])  # noqa: E731
    refuses(check, strict, "the limit itself")
