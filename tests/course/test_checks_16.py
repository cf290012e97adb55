"""The checks of notebook 16 accept right answers and answer wrong ones with a hint."""

import itertools

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


def by_counting(scenes):
    """The share of all rows of so many coins that are all alike."""
    rows = list(itertools.product((0, 1), repeat=scenes))
    return sum(len(set(row)) == 1 for row in rows) / len(rows)


def bootstrap(a, b, scenes, draws, seed, unit="scene", ends=(2.5, 97.5), paired=True, fixed=False):
    """By counting how often each scene was drawn, which is a multinomial."""
    rng = np.random.default_rng(None if fixed else seed)
    names = scenes if unit == "scene" else [f"{i:03}" for i in range(len(scenes))]
    keys = sorted(set(names))
    which = np.array([keys.index(name) for name in names])
    x, y = (np.bincount(which, v) / np.bincount(which) for v in (a, b))
    n = len(keys)

    def drawn():
        return rng.multinomial(n, np.full(n, 1 / n), draws) / n

    weights = drawn()
    means = weights @ x - (weights if paired else drawn()) @ y
    each = np.array([(x - y)[k] for k in range(n)])
    mean = (
        np.mean(each) if unit == "scene" else np.mean([each[which == k].mean() for k in range(n)])
    )
    return mean, *np.percentile(means, ends)


def with_(mean=None, low=None, high=None, sign=1):
    """The right answer with some of it changed."""

    def function(a, b, scenes, draws, seed):
        m, lo, hi = bootstrap(a, b, scenes, draws, seed)
        shots = (np.asarray(a) - b).mean()
        m = shots if mean == "shots" else sign * m
        return m, m if low == "mean" else hi if low == "high" else lo, m if high == "mean" else hi

    return function


def one_scene(a, b, scenes, draws, seed):
    """As if one scene were drawn at a time."""
    apart = np.asarray(a) - b
    each = [apart[np.array(scenes) == s].mean() for s in sorted(set(scenes))]
    return bootstrap(a, b, scenes, draws, seed)[0], *np.percentile(each, (2.5, 97.5))


def by_shots(a, b, scenes, draws, seed):
    mean = bootstrap(a, b, scenes, draws, seed)[0]
    return mean, *bootstrap(a, b, scenes, draws, seed, unit="shot")[1:]


def front(cheaper, better, strict=True, both=False, either=False):
    n, left = len(cheaper), []
    for j in range(n):
        beaten = False
        for i in range(n):
            no_worse = not cheaper[j][i] and not better[j][i]
            gain = cheaper[i][j] or better[i][j]
            gain = cheaper[i][j] and better[i][j] if both else gain if strict else i != j
            beaten |= bool(gain and (no_worse or either))
        left += [] if beaten else [j]
    return left


def within(rows, seconds, mib, unmeasured=np.inf):
    memory = (unmeasured if r["mib"] is None else r["mib"] for r in rows)
    return [i for i, m in enumerate(memory) if rows[i]["s_per_mp"] <= seconds and m <= mib]


def pick(rows, better, fit):
    best = max(fit, key=lambda i: rows[i]["psnr"], default=None)
    good = [i for i in fit if not better[best][i]]
    return min(good, key=lambda i: rows[i]["s_per_mp"], default=None)


def choose(rows, better, seconds, mib, **how):
    return pick(rows, better, within(rows, seconds, mib, **how))


RIGHT = {
    "same_race": same_race,
    "agree_by_luck": by_counting,
    "scene_bootstrap": bootstrap,
    "pareto": front,
    "choose": choose,
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
    ("agree_by_luck", lambda n: 0.5**n, "all minus"),
    ("agree_by_luck", lambda n: 1 / n, "is a coin"),
    ("agree_by_luck", lambda n: 0.05, "Count the rows"),
    ("scene_bootstrap", lambda *_: 1.0, "three numbers"),
    ("scene_bootstrap", with_(mean="shots"), "counts five times"),
    ("scene_bootstrap", lambda a, b, *more: bootstrap(b, a, *more), "is a - b"),
    ("scene_bootstrap", lambda *_: (9.0, 8.0, 10.0), "mean over scenes of their mean"),
    ("scene_bootstrap", with_(low="high", high="mean"), "lower end comes first"),
    ("scene_bootstrap", lambda *args: bootstrap(*args, fixed=True), "same seed"),
    ("scene_bootstrap", with_(low="mean", high="mean"), "no width"),
    ("scene_bootstrap", one_scene, "times as wide"),
    ("scene_bootstrap", lambda *args: bootstrap(*args, paired=False), "with its own b"),
    ("scene_bootstrap", lambda *args: bootstrap(*args, ends=(5, 95)), "90 in 100"),
    ("scene_bootstrap", by_shots, "scenes drawn, or shots"),
    ("pareto", lambda c, b: [], "Somebody is always left"),
    ("pareto", lambda c, b: list(range(len(c))), "is no better than one"),
    ("pareto", lambda c, b: front(c, b, both=True), "is no better than one"),
    ("pareto", lambda c, b: front(c, b, strict=False) or [0], "Equals do not|is missing"),
    ("pareto", lambda c, b: front(c, b, either=True), "worse in the other|always left"),
    ("choose", lambda r, b, s, m: choose(r, b, s, np.inf), "more time or memory|never measured"),
    ("choose", lambda r, b, s, m: choose(r, b, np.inf, m), "more time or memory"),
    ("choose", lambda r, b, s, m: choose(r, b, s, m, unmeasured=0), "never measured"),
    ("choose", lambda r, b, s, m: [].append(s), "Something fits"),
    ("choose", lambda r, b, s, m: choose(r, b, s - 1e-9, m), "the limit itself|Another|better"),
    (
        "choose",
        lambda r, b, s, m: max(within(r, s, m), key=lambda i: r[i]["psnr"], default=None),
        "costs less",
    ),
    (
        "choose",
        lambda r, b, s, m: min(within(r, s, m), key=lambda i: r[i]["s_per_mp"], default=None),
        "shown to be better than yours",
    ),
    ("choose", lambda r, b, s, m: "SID", "a row's number"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)
