"""The checks of notebook 13 accept right answers and answer wrong ones with a hint."""

import numpy as np
import torch
from support.checks import accepts, laws, refuses

from lowlight_lib.course.checks.n13_train_test_retinex import sample_pair
from lowlight_lib.course.checks.n13_train_test_retinex_control import alike
from lowlight_lib.data.photos import PairsDataset
from lowlight_lib.evaluation.metrics import psnr


def sampler(scene=None, two=None, place=None, form=lambda x: x):
    """A pair sampler, right but for what is given."""

    def of(scenes, step, rng, crop):
        epoch, k = divmod(step, len(scenes))
        draw = rng(7, step)
        s = int(scene(rng, step, k) if scene else rng(3, epoch).permutation(len(scenes))[k])
        pictures, first, second = scenes[s], 0, 0
        if two:
            first, second = two(draw, len(pictures))
        elif len(pictures) < 2:
            raise ValueError
        while first == second:
            first, second = draw.integers(0, len(pictures), 2)
        h, w = pictures[0].shape[:2]
        y, x = (int(draw.integers(n - crop + 1)) for n in (h, w))
        cuts = [pictures[first], pictures[second]]
        cuts = place(cuts, y, x, crop) if place else [p[y : y + crop, x : x + crop] for p in cuts]
        return form(np.float32(np.moveaxis(cuts, -1, 1)) / 255)

    return of


def any_two(draw, n):
    first, second = draw.integers(0, n, 2)
    return first, second


def until_they_differ(draw, n):
    first = second = draw.integers(0, n)
    while first == second:
        second = draw.integers(0, n)
    return first, second


def in_order(draw, n):
    if n < 2:
        raise ValueError
    return sorted(draw.choice(n, 2, replace=False))


def two_places(cuts, y, x, crop):
    return [p[k * y : k * y + crop, x : x + crop] for k, p in enumerate(cuts)]


def never_last(cuts, y, x, crop):
    y, x = (max(0, n - 1) for n in (y, x))
    return [p[y : y + crop, x : x + crop] for p in cuts]


def by_finite_differences(loss, split1, split2):
    """Which outputs the loss feels, without a gradient through what is detached: right only where
    nothing is, so this is a wrong answer."""
    found, six = set(), [*split1, *split2]
    for name, t in zip(("L1", "R1", "X1", "L2", "R2", "X2"), six, strict=True):
        before = loss(split1, split2)
        t.add_(0.01 * torch.rand(t.shape))
        found |= {name} if not torch.isclose(loss(split1, split2), before, rtol=1e-6) else set()
    return found


def by_autograd(loss, split1, split2):
    six = [t.requires_grad_() for t in (*split1, *split2)]
    pulls = torch.autograd.grad(loss(split1, split2), six, allow_unused=True)
    names = ("L1", "R1", "X1", "L2", "R2", "X2")
    return {n for n, g in zip(names, pulls, strict=True) if g is not None and g.abs().sum() > 0}


def gradient_is_there(loss, split1, split2):
    six = [t.requires_grad_() for t in (*split1, *split2)]
    pulls = torch.autograd.grad(loss(split1, split2), six, allow_unused=True)
    names = ("L1", "R1", "X1", "L2", "R2", "X2")
    return {n for n, g in zip(names, pulls, strict=True) if g is not None}


def tuned(score, best=max):
    def of(splits, targets, gammas):
        return best(gammas, key=lambda g: score(splits, targets, g))

    return of


def mean_psnr(splits, targets, g):
    made = [np.clip(L**g * R, 0, 1) for L, R in splits]
    return sum(psnr(*pair) for pair in zip(made, targets, strict=True))


def raised_too(splits, targets, g):
    made = [np.clip((L * R) ** g, 0, 1) for L, R in splits]
    return sum(psnr(*pair) for pair in zip(made, targets, strict=True))


def pooled(splits, targets, g):
    made = [np.clip(L**g * R, 0, 1) for L, R in splits]
    return -sum(np.square(m - t).mean() for m, t in zip(made, targets, strict=True))


def measured(pairs):
    """The same three by matrices."""
    flat = np.array([[x.ravel() / x.mean() for x in two] for two in pairs])
    apart = np.sqrt(((flat[:, None, 0] - flat[None, :, 1]) ** 2).mean(-1))
    n = len(pairs)
    within = np.diag(apart)
    between = (apart.sum(1) - within) / (n - 1)
    return within, between, np.array([w / b if b else 1 for w, b in zip(within, between)])  # noqa: B905


def changed(**how):
    def of(pairs):
        answer = dict(zip(("within", "between", "ratio"), measured(pairs), strict=True))
        return [how.get(k, lambda a, p, k=k: a[k])(answer, pairs) for k in answer]

    return of


RIGHT = {
    "sample_pair": sampler(),
    "teachers": by_autograd,
    "choose_gamma": tuned(mean_psnr),
    "alike": measured,
    "best_x": lambda image, product, weight: (weight * image + product) / (weight + 1),
}
WRONG = [
    ("sample_pair", sampler(form=lambda x: x.transpose(0, 2, 3, 1)), "the pair has shape"),
    ("sample_pair", sampler(form=np.float64), "not float32"),
    ("sample_pair", sampler(form=lambda x: 255 * x), "divide by 255"),
    ("sample_pair", sampler(scene=lambda rng, s, k: np.random.randint(4)), "asked twice"),
    ("sample_pair", sampler(scene=lambda rng, s, k: rng(s).integers(4)), "each comes once"),
    ("sample_pair", sampler(scene=lambda rng, s, k: k), "Draw a new one"),
    ("sample_pair", sampler(two=any_two, place=two_places), "Step 3 of 4|Step 4 of 4"),
    ("sample_pair", sampler(two=lambda draw, n: (1, 1), form=lambda x: x), "draw for ever"),
    ("sample_pair", sampler(two=until_they_differ), "draw for ever"),
    ("sample_pair", sampler(two=in_order), "ordered pairs never come"),
    ("sample_pair", sampler(place=two_places), "at one place"),
    ("sample_pair", sampler(place=never_last), "last place that fits"),
    (
        "sample_pair",
        sampler(form=lambda x: np.ascontiguousarray(x.swapaxes(2, 3))),
        "missing, or exchanged",
    ),
    ("teachers", lambda loss, a, b: {"R"}, "Use the names"),
    ("teachers", gradient_is_there, "cannot feel it"),
    ("teachers", by_finite_differences, "cannot feel it"),
    ("teachers", lambda loss, a, b: {"R2"}, "do not say so"),
    ("choose_gamma", tuned(mean_psnr, min), "More dB"),
    ("choose_gamma", tuned(raised_too), "raised too"),
    ("choose_gamma", tuned(pooled), "one bad picture"),
    ("choose_gamma", lambda s, t, g: 0.33, "you were given"),
    ("choose_gamma", lambda s, t, g: g[4], "PSNR, and their mean"),
    ("alike", lambda pairs: measured(pairs)[:2], "return three"),
    ("alike", lambda pairs: [np.mean(x) for x in measured(pairs)], "for each scene"),
    (
        "alike",
        changed(within=lambda a, p: [np.sqrt(np.square(x - y).mean()) for x, y in p]),
        "Divide each",
    ),
    ("alike", changed(within=lambda a, p: a["within"] ** 2), "Take its root"),
    ("alike", changed(within=lambda a, p: 2 * a["within"]), "over all pixels"),
    ("alike", changed(between=lambda a, p: (3 * a["between"] + a["within"]) / 4), "leave out"),
    ("alike", changed(between=lambda a, p: 3 * a["between"]), "not a sum"),
    ("alike", changed(between=lambda a, p: a["between"] + 1), "every other scene"),
    ("alike", changed(ratio=lambda a, p: a["between"] / a["within"]), "upside down"),
    ("alike", changed(ratio=lambda a, p: a["within"] - a["between"]), "scene by scene"),
    ("alike", changed(ratio=lambda a, p: a["within"] / a["between"]), "0 / 0"),
    ("alike", changed(ratio=lambda a, p: a["within"] / (a["between"] + 1e-9)), "should get 1"),
    ("best_x", lambda image, product, w: (image + w * product) / (w + 1), "gave the weight to"),
    ("best_x", lambda image, product, w: image, "slope"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)


def test_a_lonely_picture_has_to_be_refused():
    def twice_the_same(scenes, *more):
        return sampler()([2 * s if len(s) < 2 else s for s in scenes], *more)

    refuses("sample_pair", twice_the_same, "folder of one")


def test_pairs_may_be_drawn_in_any_way_that_is_fair():
    def shuffled(draw, n):
        return in_order(draw, n)[:: draw.choice([-1, 1])]

    accepts("sample_pair", sampler(two=shuffled))


def test_the_course_s_sampler_draws_what_the_library_draws(mini_root):
    data = PairsDataset(mini_root)
    scenes = [
        [np.rint(255 * data.picture(f)).astype(np.uint8) for f in s.files] for s in data.pairs
    ]
    for step in (0, 7, 40):
        x, y = data.batch(step, seed=5, size=1, crop=32)
        pair = sample_pair(scenes, step, lambda *key: np.random.default_rng([5, *key]), 32)
        np.testing.assert_allclose(pair, np.concatenate([x, y]), atol=1e-7)


def test_a_grey_wall_earns_nothing_and_a_perfect_paint_everything():
    wall, draw = np.full((4, 4, 3), 0.3), np.random.default_rng(0)
    assert alike([(wall, 2 * wall)] * 3)[2].tolist() == [1, 1, 1]
    assert alike([(s, 0.1 * s) for s in draw.random((3, 4, 4, 3))])[2].max() < 1e-12
