"""Exercises of notebook 09, from section 4 on: the losses of a pair, and their descent."""

import torch
from torch.nn import functional as F

from ...blocks import retinex
from .common import answer_of, exercise


def loss_terms(image, split, other_R):
    L, R, X = split.L, split.R, split.X
    down, right = L[..., 2:, :] - L[..., :-2, :], L[..., 2:] - L[..., :-2]
    return {
        "C": F.mse_loss(R, other_R),
        "P": F.mse_loss(image, X),
        "LR-X": F.mse_loss(L * R, X),
        "L-max": F.mse_loss(L, image.amax(1, keepdim=True)),
        "TV": down.abs().mean() + right.abs().mean(),
        "R-X/L": F.mse_loss(R, X / L.detach()),
    }


_STEPS = (("C", "P"), ("LR-X", "L-max"), ("TV",), ("R-X/L",))


@exercise("09.4", 3, loss_terms)
def _(function):
    """Right: all six terms, for one picture and for several, and no gradient through the bar."""
    for n, h, w in ((1, 6, 7), (2, 9, 5)):
        draw = torch.Generator().manual_seed(n)
        image, other_R, L, R, X = (
            0.1 + 0.8 * torch.rand(n, c, h, w, generator=draw) for c in (3, 3, 1, 3, 3)
        )
        split = retinex.Decomposition(*(t.requires_grad_() for t in (L, R, X)))
        given, truth = answer_of(function, image, split, other_R), loss_terms(image, split, other_R)
        assert isinstance(given, dict), "Return a dict, with one entry for each term."
        for step, names in enumerate(_STEPS, 1):
            said = f"Step {step} of 4: " if step == 1 else f"Right up to here. Step {step} of 4: "
            for name in names:
                assert name in given, f"{said}there is no {name!r} in the dict yet."
                _judge_term(said + name, given[name], truth[name], image, split)
        [pull] = torch.autograd.grad(given["R-X/L"], L, retain_graph=True, allow_unused=True)
        still = pull is None or pull.abs().max() == 0
        assert still, f"{said}the value is right, but the light feels it. What does the bar mean?"


def _judge_term(said, value, truth, image, split):
    one = isinstance(value, torch.Tensor) and value.numel() == 1
    assert one, f"{said} should be a tensor of one number."
    assert value.requires_grad, f"{said} has lost its gradients: nothing could learn from it."
    L, R, _ = split
    beside = L.diff(dim=-2).abs().mean() + L.diff(dim=-1).abs().mean()
    slips = [(truth * t.numel(), "is a sum over all pixels. The loss has means.") for t in (L, R)]
    slips += [
        (truth.sqrt(), "is a root; the loss has mean squares."),
        (truth / 2, "is half of what it should be: the two directions are added."),
        (beside, "compares neighbours, and not pixels two apart."),
        ((L - image.mean(1, keepdim=True)).square().mean(), "takes the mean of the three colours."),
        ((L - image.amax(1)).square().mean(), "is wrong for two pictures at once. Print the shapes "
         "of L and of what you subtract."),
    ]  # fmt: skip
    for wrong, sentence in [] if torch.isclose(value, truth) else slips:
        assert not torch.isclose(value, wrong), f"{said} {sentence}"
    good = torch.isclose(value, truth)
    assert good, f"{said} is {value.item():.4g}, which is not it. Read its formula once more."


def cheat(image):
    grey = torch.full_like(image, 0.5)
    return grey[:, :1], grey, grey * grey  # constant paint, constant light, and X their product


@exercise("09.5", 2, cheat)
def _(function):
    """Right: four of the six terms are 0, and you have not even looked at the picture."""
    draw = torch.Generator().manual_seed(0)
    for h, w in ((8, 8), (5, 12)):
        images = [torch.rand(1, 3, h, w, generator=draw) for _ in range(2)]  # unrelated
        splits = [_split_of(function, image) for image in images]
        for image, split in zip(images, splits, strict=True):
            same = _split_of(function, image.clone())
            assert all(map(torch.equal, split, same)), "One picture gave two different splits."
            L, R, X = split
            assert L.min() > 0, "L is 0 somewhere, and X / L is not a number there."
            assert F.mse_loss(L * R, X) < 1e-9, "mean((L R - X)^2) is not 0. X is yours to choose."
            assert retinex.total_variation(L) < 1e-6, "TV(L) is not 0. Which L is smoothest?"
        apart = retinex.consistency(splits[0].R, splits[1].R)
        assert apart < 1e-9, "C is not 0. Which reflectance is the same whatever one looks at?"


def _split_of(function, image):
    h, w = image.shape[-2:]
    split = retinex.Decomposition(*answer_of(function, image.clone()))
    for name, t, c in zip("LRX", split, (1, 3, 3), strict=True):
        said = f"{name} has shape {tuple(t.shape)}, and here it should be {(1, c, h, w)}."
        assert tuple(t.shape) == (1, c, h, w), said
        assert t.min() >= 0 and t.max() <= 1, f"{name} leaves the range from 0 to 1."
    return split


def invisible_light(h, w):
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return (y + x) % 2  # a step of two never changes the colour of the chessboard


@exercise("09.6", 2, invisible_light)
def _(function):
    """Right: the roughest light there is, and TV, which looks two pixels on, sees none of it."""
    for h, w in ((4, 6), (7, 5), (3, 3)):
        light = torch.as_tensor(answer_of(function, h, w)).float()
        assert tuple(light.shape) == (h, w), f"Return ({h}, {w}) numbers, not {tuple(light.shape)}."
        assert light.min() >= 0 and light.max() <= 1, "Light is between 0 and 1."
        value = retinex.total_variation(light[None, None]).item()
        assert value < 1e-6, f"""{h} x {w}: TV is {value:.2g}. Which pixels does it compare? Those,
            and only those, have to be equal."""
        for axis, name in enumerate(("below", "beside")):
            steps = light.diff(dim=axis).abs()
            assert steps.min() > 1 - 1e-6, f"""Two pixels, one {name} the other, differ by
                {steps.min():.2g} only, and not by 1 as on all four sides they should."""


def fit_pair(image1, image2, loss_of, steps):
    free = []
    for image in (image1, image2):
        start = image.amax(1, keepdim=True), torch.full_like(image, 0.5), image
        free += [torch.logit(t.clamp(0.004, 0.996)).requires_grad_() for t in start]
    optimiser = torch.optim.Adam(free, lr=0.05)
    for _ in range(steps):
        loss = loss_of(*(t.sigmoid() for t in free))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return [t.sigmoid().detach() for t in free]


@exercise("09.7", 3, fit_pair)
def _(function):
    """Right: it starts where it should, goes down any loss, and stays between 0 and 1."""
    images = torch.rand(2, 1, 3, 5, 6, generator=torch.Generator().manual_seed(0)) * 0.3
    images[0, ..., 0] = 0  # black, which no sigmoid reaches
    said = "Step 1 of 3: without a step of descent "
    six = _six(said, images, answer_of(function, *images, lambda *six: six[0].mean(), 0))
    for k, image in enumerate(images):
        starts = image.amax(1, keepdim=True), torch.full_like(image, 0.5), image
        for name, got, start in zip("LRX", six[3 * k :], starts, strict=False):
            off = (got - start).abs().max()
            assert off < 0.01, f"{said}{name}{k + 1} is {off:.2f} from where it should start."
    wanted, asked = (0.7, 0.2, 0.4, 0.3, 0.8, 0.6), []

    def toy(*six):
        asked.append(len(six) == 6 and all(t.requires_grad for t in six))
        return sum((t - goal).square().mean() for t, goal in zip(six, wanted, strict=True))

    said = "Step 1: right. Step 2 of 3: "
    six = _six(said, images, answer_of(function, *images, toy, 150))
    assert asked and all(asked), f"{said}ask the loss, with all six and their gradients."
    assert len(asked) in (150, 151), f"{said}150 steps asked the loss {len(asked)} times."
    for name, t, goal in zip(("L1", "R1", "X1", "L2", "R2", "X2"), six, wanted, strict=True):
        far = (t - goal).abs().max().item()
        assert far < 0.02, f"""{said}of a loss whose lowest point is known, {name} is {far:.2f} from
            it after 150 steps. Do gradients start from 0 at each step? Does the optimiser step, and
            does it know all six?"""
    free = any(t.requires_grad for t in six)
    assert not free, "Steps 1 and 2: right. Step 3 of 3: what you return still has gradients."


def _six(said, images, six):
    assert len(six) == 6, f"{said}return six tensors: L1, R1, X1, L2, R2, X2."
    for k, (t, c) in enumerate(zip(six, (1, 3, 3) * 2, strict=True)):
        name, shape = f"{'LRX'[k % 3]}{k // 3 + 1}", (1, c, *images.shape[-2:])
        assert tuple(t.shape) == shape, f"{said}{name} is {tuple(t.shape)}, not {shape}."
        finite = bool(torch.isfinite(t).all())
        assert finite, f"{said}{name} is not a number somewhere. What is the logit of 0?"
        assert t.min() >= 0 and t.max() <= 1, f"{said}{name} leaves the range from 0 to 1."
    return six
