"""The checks of notebook 09 accept right answers and answer wrong ones with a hint."""

import itertools

import torch
from support.checks import accepts, laws

from lowlight_lib.blocks import retinex


def constant(image, light=0.5, paint=0.5):
    grey = torch.full_like(image, paint)
    return torch.full_like(image[:, :1], light), grey, light * grey


def rough(image):
    L, R, _ = constant(image)
    L = 0.2 + 0.1 * image[:, :1]
    return L, R, L * R


def all_light(image):
    L = torch.ones_like(image[:, :1])
    return L, image, image


numbers = itertools.count(1)


def moody(image):
    return constant(image, paint=1 / next(numbers))


def checkers(h, w):
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return (y + x) % 2


def halo(radius):
    side = 6 * radius + 6
    wall = torch.ones(1, 3, side, 2 * side)
    wall[..., side:] = 0.1  # the shade begins here
    light = retinex.decompose(wall, radius).L[0, 0, side // 2]
    assert torch.all(light[:side] > 1 - 1e-4)  # the bright side is never touched
    return (light[side:] > 0.1 + 1e-4).sum()


def contrast(ratio, gamma):
    light = torch.tensor(0.07, dtype=torch.float64)
    threads = 0.2 * torch.tensor([ratio, 1], dtype=torch.float64)
    pairs = (light * threads) ** gamma, retinex.recompose(light, threads, gamma)
    return tuple((bright / dark).item() for bright, dark in pairs)


def another(L, R):
    """By a random map, which is made to fit."""
    draw = torch.rand(R.shape[1:], generator=torch.Generator().manual_seed(5))
    low, high = R.amax(0), 1 / L.amax(0)
    return L * (low + draw * (high - low)), R / (low + draw * (high - low))


def six_terms(image, split, other_R):
    """Each term by loops over pixels or by plain sums."""
    L, R, X = split.L, split.R, split.X
    h, w = L.shape[-2:]
    down = [(L[:, :, i + 2] - L[:, :, i]).abs().mean() for i in range(h - 2)]
    right = [(L[..., j + 2] - L[..., j]).abs().mean() for j in range(w - 2)]
    still = torch.from_numpy(L.detach().numpy())
    brightest = torch.maximum(torch.maximum(image[:, :1], image[:, 1:2]), image[:, 2:])
    return {
        "C": ((R - other_R) ** 2).sum() / R.numel(),
        "P": ((image - X) ** 2).sum() / X.numel(),
        "LR-X": ((L * R - X) ** 2).sum() / X.numel(),
        "L-max": ((L - brightest) ** 2).sum() / L.numel(),
        "TV": sum(down) / len(down) + sum(right) / len(right),
        "R-X/L": ((R - X / still) ** 2).sum() / R.numel(),
    }


def terms_but(**how):
    """The six terms, but for some: functions of (image, split, other_R); None leaves one out."""

    def of(image, split, other_R):
        given = six_terms(image, split, other_R)
        new = {k.replace("_", "-"): f for k, f in how.items()}
        new = {"R-X/L" if k == "RXL" else k: f for k, f in new.items()}
        kept = {k: v for k, v in given.items() if new.get(k, v) is not None}
        return kept | {k: f(image, split, other_R) for k, f in new.items() if f}

    return of


def descent(image1, image2, loss_of, steps, *, clear=True, start=0.5, low=0.004, free=6, keep=False,
            rate=0.05):  # fmt: skip
    logits = []
    for image in (image1, image2):
        begin = image.amax(1, keepdim=True), torch.full_like(image, start), image
        logits += [torch.logit(t.clamp(low, 1 - low)).requires_grad_() for t in begin]
    optimiser = torch.optim.Adam(logits[:free], lr=rate)
    for _ in range(steps):
        if clear:
            optimiser.zero_grad()
        loss_of(*[t.sigmoid() for t in logits]).backward()
        optimiser.step()
    six = [t.sigmoid() for t in logits]
    return six if keep else [t.detach() for t in six]


def fitting(**how):
    return lambda *args: descent(*args, **how)


RIGHT = {
    "halo_width": halo,
    "contrast_left": contrast,
    "other_split": another,
    "loss_terms": six_terms,
    "cheat": constant,
    "invisible_light": checkers,
    "fit_pair": descent,
}
WRONG = [
    ("halo_width", lambda r: r, "mean behind it"),
    ("halo_width", lambda r: 2 * r + 1, "side of a window"),
    ("halo_width", lambda r: 4 * r, "both sides"),
    ("halo_width", lambda r: 7, "Write the row down"),
    ("contrast_left", lambda ratio, gamma: (ratio, ratio**gamma), "other order"),
    ("contrast_left", lambda ratio, gamma: (ratio * gamma, ratio), "First number"),
    ("contrast_left", lambda ratio, gamma: (ratio**gamma, ratio**gamma), "Second number"),
    ("other_split", lambda L, R: L, "two things|other lights"),
    ("other_split", lambda L, R: (L[0], R), "lights came with shape"),
    ("other_split", lambda L, R: (L * 3, R / 3), "at most 1"),
    ("other_split", lambda L, R: (L[:1] * R.amax(0) + 0 * L, R / R.amax(0)), "\\*every\\*"),
    ("other_split", lambda L, R: (L, R), "the split you were given"),
    ("other_split", lambda L, R: (L * 0.95, R / 0.95), "one factor for all"),
    ("loss_terms", lambda image, split, other: [1.0], "Return a dict"),
    ("loss_terms", terms_but(P=None), "Step 1 of 4: there is no 'P'"),
    ("loss_terms", terms_but(C=lambda i, s, o: (s.R - o).square().sum()), "a sum over all"),
    ("loss_terms", terms_but(C=lambda i, s, o: (s.R - o).square().mean().sqrt()), "is a root"),
    ("loss_terms", terms_but(C=lambda i, s, o: (s.R - o).abs().mean()), "Read its formula"),
    ("loss_terms", terms_but(P=lambda i, s, o: (i - s.X).square().mean().item()), "of one number"),
    ("loss_terms", terms_but(P=lambda i, s, o: (i - s.X).square().mean().detach()), "lost its"),
    ("loss_terms", terms_but(LR_X=None), "Step 2 of 4: there is no 'LR-X'"),
    (
        "loss_terms",
        terms_but(L_max=lambda i, s, o: (s.L - i.mean(1, True)).square().mean()),
        "mean of the three colours",
    ),
    ("loss_terms", terms_but(L_max=lambda i, s, o: (s.L - i.amax(1)).square().mean()), "two pict"),
    ("loss_terms", terms_but(TV=lambda i, s, o: retinex.total_variation(s.L) / 2), "half of what"),
    (
        "loss_terms",
        terms_but(TV=lambda i, s, o: s.L.diff(dim=2).abs().mean() + s.L.diff(dim=3).abs().mean()),
        "compares neighbours",
    ),
    ("loss_terms", terms_but(RXL=lambda i, s, o: (s.R - s.X / s.L).square().mean()), "feels it"),
    ("fit_pair", lambda a, b, loss, steps: descent(a, b, loss, steps)[:3], "return six"),
    ("fit_pair", lambda *args: [t[0] for t in descent(*args)], "not \\(1, 1, 5, 6\\)"),
    ("fit_pair", lambda *args: [t - 1 for t in descent(*args)], "leaves the range"),
    ("fit_pair", lambda *args: [t * float("nan") for t in descent(*args)], "logit of 0"),
    ("fit_pair", fitting(start=0.2), "from where it should start"),
    ("fit_pair", lambda a, b, loss, steps: descent(a, b, loss, 0), "ask the loss"),
    ("fit_pair", lambda a, b, loss, n: descent(a, b, loss, min(n, 50)), "asked the loss 50"),
    ("fit_pair", fitting(clear=False), "start from 0"),
    ("fit_pair", fitting(free=5), "X2 is"),
    ("fit_pair", fitting(rate=0.001), "after 150 steps"),
    ("fit_pair", fitting(keep=True), "still has gradients"),
    ("cheat", lambda image: constant(image)[:1] * 3, "R has shape"),
    ("cheat", lambda image: constant(image, light=0.0), "not a number"),
    ("cheat", lambda image: constant(image, paint=1.5), "leaves the range"),
    ("cheat", lambda image: (*constant(image)[:2], image), "yours to choose"),
    ("cheat", rough, "smoothest"),
    ("cheat", all_light, "whatever one"),
    ("cheat", moody, "two different splits"),
    ("invisible_light", lambda h, w: torch.ones(h, w), "differ by 0 only"),
    ("invisible_light", lambda h, w: checkers(h, w)[:, :1], "not \\("),
    ("invisible_light", lambda h, w: 2 * checkers(h, w), "between 0 and 1"),
    ("invisible_light", lambda h, w: torch.arange(w).expand(h, w) % 2, "below the other"),
    ("invisible_light", lambda h, w: torch.arange(h)[:, None].expand(h, w) % 2, "beside the other"),
    ("invisible_light", lambda h, w: torch.eye(max(h, w))[:h, :w], "Which pixels"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)


def test_a_light_of_numpy_is_light_too():
    accepts("invisible_light", lambda h, w: checkers(h, w).numpy())
