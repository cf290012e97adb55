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


@exercise("16.2", 1, lambda scenes: 2 * 0.5**scenes, [3, 5, 8])
def agree_by_luck(answer, truth, scenes):
    """Right: three scenes agree by luck one time in four, six scenes one time in thirty-two."""
    yield 0.5**scenes, "So often all are plus. Would you not have been impressed by all minus?"
    yield 1 / scenes, "Each scene is a coin. How many rows of so many coins are there?"
    yield (
        True,
        "Count the rows of plus and minus that are all alike, among all rows that there are.",
    )


def scene_bootstrap(a, b, scenes, draws, seed):
    names = sorted(set(scenes))
    apart = np.asarray(a, float) - np.asarray(b, float)
    each = np.array([apart[np.asarray(scenes) == name].mean() for name in names])
    chosen = np.random.default_rng(seed).integers(0, len(each), (draws, len(each)))
    low, high = np.quantile(each[chosen].mean(1), [0.025, 0.975])
    return each.mean(), low, high


@exercise("16.3", 3, scene_bootstrap)
def _(function):
    """Right: scenes are drawn, each with all its shots, and each against itself."""
    rng = np.random.default_rng(5)
    for n, counts in ((12, (1, 2, 5)), (7, (3, 1))):
        shots = np.resize(counts, n)
        scenes = np.repeat([f"s{k:02}" for k in range(n)], shots)
        hard = rng.normal(20, 5, len(scenes))  # what all networks share
        merit = np.repeat(rng.normal(0.5, 1, n), shots)
        a, b = hard + merit + rng.normal(0, 0.1, len(scenes)), hard
        given = answer_of(function, a.copy(), b.copy(), scenes.tolist(), 4000, 1)
        assert np.shape(given) == (3,), (
            "Return three numbers: the mean, and the interval's two ends."
        )
        mean, low, high = (float(v) for v in given)
        truth = scene_bootstrap(a, b, scenes, 4000, 2)
        by_shots = (a - b).mean()
        assert abs(mean - by_shots) > 1e-6, f"""Step 1 of 3: a mean of {mean:.3f}. A scene of five
            shots counts five times there. First the mean of each scene."""
        assert abs(mean + truth[0]) > 1e-6, "Step 1 of 3: the difference is a - b."
        assert abs(mean - truth[0]) < 1e-6, "Step 1 of 3: the mean over scenes of their mean a - b."
        assert low <= mean <= high, "Step 1 is right. Step 2 of 3: the lower end comes first."
        repeated = function(a.copy(), b.copy(), scenes.tolist(), 4000, 1)
        assert np.allclose(given, repeated), "The same seed has to give the same interval."
        widths, said = (high - low) / (truth[2] - truth[1]), "Step 1 is right. Step"
        assert widths > 0.05, (
            f"{said} 2 of 3: no width. Draw scenes with replacement, each time anew."
        )
        assert widths < 1.5, f"""{said} 2 of 3: your interval is {widths:.1f} times as wide as ours.
            It is the *mean* of as many scenes as there are that is drawn, and a with its own b."""
        assert abs(widths - 0.84) > 0.035, f"{said} 3 of 3: that holds 90 in 100 of the means. 95!"
        assert abs(widths - 1) < 0.12, f"""{said} 3 of 3: your interval is {widths:.2f} times as
            wide as ours. Are scenes drawn, or shots? Does it hold 95 in 100 of the means?"""


def pareto(cheaper, better):
    n = range(len(cheaper))

    def dominates(i, j):
        worse = cheaper[j][i] or better[j][i]
        return not worse and (cheaper[i][j] or better[i][j])

    return [j for j in n if not any(dominates(i, j) for i in n)]


@exercise("16.4", 2, pareto)
def _(function):
    """Right: what is dominated by nothing is left, and ties stay together."""
    rng = np.random.default_rng(3)
    for n in (2, 2, 2, 2, 2, 2, 4, 6, 6):
        cost, quality = rng.integers(0, 3, (2, n))
        cheaper, better = cost[:, None] < cost, quality[:, None] > quality
        given = answer_of(function, cheaper.tolist(), better.tolist())
        given, truth = sorted(int(i) for i in given), pareto(cheaper, better)
        if given == truth:
            continue
        what = f"Costs {cost.tolist()}, qualities {quality.tolist()}: you keep {given}."
        if not given:
            raise AssertionError(f"{what} Somebody is always left.")
        if set(given) - set(truth):
            j = min(set(given) - set(truth))
            raise AssertionError(f"{what} Number {j} is no better than one that costs less, or no "
                                 "cheaper than a better one.")  # fmt: skip
        j = min(set(truth) - set(given))
        twin = any(cost[i] == cost[j] and quality[i] == quality[j] for i in range(n) if i != j)
        hint = "Equals do not dominate each other, or both would go." if twin else (
            "Who beats it is worse in the other of the two. Then neither dominates.")  # fmt: skip
        raise AssertionError(f"{what} Number {j} is missing. {hint}")


def choose(rows, better, seconds, mib):
    fit = [i for i, r in enumerate(rows) if r["s_per_mp"] <= seconds]
    fit = [i for i in fit if rows[i]["mib"] is not None and rows[i]["mib"] <= mib]
    if not fit:
        return None
    best = max(fit, key=lambda i: rows[i]["psnr"])
    good = [i for i in fit if not better[best][i]]
    return min(good, key=lambda i: rows[i]["s_per_mp"])


@exercise("16.5", 2, choose)
def _(function):
    """Right: what is affordable, of it what is not shown to be worse, of that the cheapest."""
    rng = np.random.default_rng(2)
    for n, gap in ((6, 1), (6, 3), (6, 5), (5, 2), (1, 2), (1, 2), (0, 2)):
        rows = [
            {"psnr": float(p), "s_per_mp": float(s), "mib": None if i == 2 else float(m)}
            for i, (p, s, m) in enumerate(rng.integers(1, 9, (n, 3)) + rng.random((n, 3)))
        ]
        db = np.array([r["psnr"] for r in rows])
        better = (db[:, None] - db > gap).tolist()
        for _ in range(20):
            seconds, mib = (float(v) for v in rng.integers(1, 11, 2))
            if rows and rng.random() < 0.3:
                seconds = rows[0]["s_per_mp"]  # just within
            _one_choice(function, rows, better, seconds, mib)


def _one_choice(function, rows, better, seconds, mib):
    answer = function([dict(r) for r in rows], [list(r) for r in better], seconds, mib)
    truth = choose(rows, better, seconds, mib)
    if answer == truth and not isinstance(answer, bool):
        return
    hint = "Return a row's number, or None where nothing fits."
    if answer is None:
        hint = "Something fits (at most: the limit itself will do). Is there a `return`?"
    elif answer in range(len(rows)):
        r = rows[answer]
        if r["mib"] is None:
            hint = "The memory of your choice was never measured: it promises nothing."
        elif r["s_per_mp"] > seconds or r["mib"] > mib:
            hint = "Your choice needs more time or memory than there is. If nothing fits: None."
        elif r["s_per_mp"] > rows[truth]["s_per_mp"]:
            hint = "Another that fits costs less, and nothing shows that yours is better than it."
        else:
            hint = "The best of those that fit is shown to be better than yours."
    budget = f"{len(rows)} rows, at most {seconds:.1f} s and {mib:.0f} MiB"
    raise AssertionError(f"{budget}: not {str(answer)[:80]}. {hint}")
