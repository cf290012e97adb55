"""The checks of notebook 16 accept right answers and answer wrong ones with a hint."""

import numpy as np
from support.checks import laws

KEYS = ("dataset", "split", "protocol", "amplification", "camera", "match_colour")


def agree(*keys):
    return lambda a, b: all(a[k] == b[k] for k in keys)


def same_race(a, b):
    names = [sorted(i["name"] for i in row["per_image"]) for row in (a, b)]
    return agree(*KEYS)(a, b) and names[0] == names[1]


def blind_for(key):
    return lambda a, b: same_race(a | {key: 0}, b | {key: 0})


def unpaired(a, b):
    return np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / len(a))


def beats(a, b):
    return a[0] <= b[0] and a[1] >= b[1] and a != b


def within(rows, seconds, mib, unmeasured=np.inf):
    fits = (r for r in rows if r["s_per_mp"] <= seconds)
    return [r for r in fits if (unmeasured if r["mib"] is None else r["mib"]) <= mib]


def best(rows):
    return max(rows, key=lambda r: r["psnr"], default=None)


def worst(rows):
    return min(rows, key=lambda r: r["psnr"], default=None)


RIGHT = {
    "same_race": same_race,
    "error_of_difference": lambda a, b: np.std(a - b, ddof=1) / len(a) ** 0.5,
    "beats": beats,
    "choose": lambda rows, s, m: best(within(rows, s, m)),
}
WRONG = [
    ("same_race", agree(*KEYS), "other ones"),
    ("same_race", agree(*KEYS, "images"), "other ones"),
    ("same_race", agree(*KEYS, "per_image"), "order of the pictures"),
    ("same_race", agree("model"), "the point"),
    ("same_race", blind_for("split"), "shines"),
    ("same_race", lambda a, b: True, "two data sets"),
    ("same_race", blind_for("camera"), "cameras"),
    ("same_race", blind_for("match_colour"), "colours of its training"),
    ("error_of_difference", lambda a, b: np.std(a - b) / len(a) ** 0.5, "ddof=1"),
    ("error_of_difference", lambda a, b: np.std(a - b, ddof=1), "steadier"),
    ("error_of_difference", unpaired, "different pictures"),
    ("error_of_difference", lambda a, b: 0.0, "Subtract first"),
    ("beats", lambda a, b: a[0] <= b[0] and a[1] >= b[1], "Equal choices"),
    ("beats", lambda a, b: a[0] < b[0] and a[1] > b[1], "A tie"),
    ("beats", lambda a, b: a[1] >= b[1] and a != b, "you say yes"),
    ("choose", lambda rows, s, m: best(within(rows, s, np.inf)), "more time or memory"),
    ("choose", lambda rows, s, m: best(within(rows, np.inf, m)), "more time or memory"),
    ("choose", lambda rows, s, m: best(within(rows, s, m) or rows), "If nothing fits: None"),
    ("choose", lambda rows, s, m: best(within(rows, s, m, 0)), "never measured"),
    ("choose", lambda rows, s, m: [].append(s), "Something fits"),
    ("choose", lambda rows, s, m: worst(within(rows, s, m)), "highest psnr"),
    ("choose", lambda rows, s, m: best(within(rows, s - 1e-9, m)), "the limit itself"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)
