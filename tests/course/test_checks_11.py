"""The checks of notebook 11 accept right answers and answer wrong ones with a hint."""

import copy

import numpy as np
import torch
from support.checks import laws
from torch.nn import functional as F

from lowlight_lib.evaluation import metrics


def crop(image, top, left, side):
    return image[top : top + side, left : left + side]


def augment(rng, mosaic, target, side, step=2, more=1):
    places = [(s - side) // step + more for s in mosaic.shape]
    top, left = (step * int(rng.integers(0, n)) for n in places)
    return crop(mosaic, top, left, side), crop(target, top, left, side)


def drawn_twice(rng, mosaic, target, side):
    return augment(rng, mosaic, target, side)[0], augment(rng, mosaic, target, side)[1]


def psnr(a, b, change=np.round):
    return -10 * np.log10(np.mean((change(255 * a) - change(255 * b)) ** 2) / 255**2)


def ssim(x, y):
    """By the library's score of a picture with three equal channels."""
    return metrics.score(*(v[..., None].expand(*v.shape, 3) for v in (x, y)), "float")[1]


def by_windows(x, y, window=None, pad=0, slip=False, c=1e-4):
    """SSIM from sums over windows; `slip` forgets to take the squared means off."""
    i = torch.arange(11) - 5.0
    g = torch.exp(-(i**2) / 4.5)
    window = g[:, None] * g if window is None else window
    x, y = (F.pad(v, (pad,) * 4) for v in (x, y))
    parts = [v.unfold(0, 11, 1).unfold(1, 11, 1) for v in (x, y)]
    w = window / window.sum()
    (mx, my), (xx, yy) = (
        [(f(v) * w).sum((-1, -2)) for v in parts] for f in (torch.Tensor.float, torch.square)
    )
    xy, off = (parts[0] * parts[1] * w).sum((-1, -2)), 0 if slip else 1
    first = (2 * mx * my + c) / (mx**2 + my**2 + c)
    second = (2 * (xy - mx * my) + 9e-4) / (xx + yy - off * (mx**2 + my**2) + 9e-4)
    return (first * second).mean().item()


class Loop:
    """A training loop with one slip, named by `slip`."""

    def __init__(self, slip=""):
        self.slip = slip

    def __call__(self, network, batch_of, loss_of, validate, steps, lr_at, every):
        slip, history, best = self.slip, [], (np.inf, None)
        rate = 0.1 if slip == "constant" else lr_at(0)
        optimizer = torch.optim.Adam(network.parameters(), lr=rate)
        for step in range(steps + (slip == "one more")):
            if slip != "constant":
                optimizer.param_groups[0]["lr"] = lr_at(step + (slip == "next"))
            x, y = batch_of(0 if slip == "same batch" else step)
            loss = loss_of(network(x), y)
            if slip != "add up":
                optimizer.zero_grad()
            loss.backward()
            if slip != "still":
                optimizer.step()
            due = (step + 1) % every == 0 or (step + 1 == steps and slip != "no last")
            if due:
                best = self.look(network, validate, history, step + 1, loss, best)
        return history if slip == "history" else (history, best[1])

    def look(self, network, validate, history, done, loss, best):
        if self.slip != "train mode":
            network.eval()
        with torch.set_grad_enabled(self.slip == "gradients"):
            score = validate(network)
        if self.slip != "stays":
            network.train()
        history.append((done - (self.slip == "steps"), loss.item(), score))
        state = network.state_dict()
        state = state if self.slip == "alias" else copy.deepcopy(state)
        if self.slip == "first" and best[1] is not None:
            return best
        return (score, state) if score < best[0] or self.slip == "last" else best


def split(names, share, seed, scenes=True, least=1, fixed=False):
    of = [n.split("_")[0] if scenes else n for n in names]
    kinds = sorted(set(of))
    drawn = np.random.default_rng(0 if fixed else seed).permutation(kinds)
    held = set(drawn[: max(least, round(share * len(kinds)))])
    return [i for i, k in enumerate(of) if k not in held], [
        i for i, k in enumerate(of) if k in held
    ]


def gains(rows, over, by="scene", sign=1):
    keys = dict.fromkeys(r[by] for r in rows)
    each = {k: [sign * (r["psnr"] - r[over]) for r in rows if r[by] == k] for k in keys}
    return {k: sum(v) / len(v) for k, v in each.items()}


RIGHT = {
    "augment": augment,
    "picture_psnr": psnr,
    "picture_ssim": ssim,
    "train_network": Loop(),
    "split_by_scene": split,
    "gains_by_scene": gains,
    "gains_to_training_camera": lambda foreign, ours: np.divide(foreign, ours),
}
WRONG = [
    ("augment", drawn_twice, "different places"),
    ("augment", lambda *args: augment(*args, step=1), "is its first pixel red"),
    ("augment", lambda *args: augment(*args, more=0), "last rows"),
    ("augment", lambda _, *args: augment(np.random.default_rng(0), *args), "Only 1"),
    ("augment", lambda rng, m, t, side: (m, t), "A crop is 8 x 8"),
    ("augment", lambda rng, m, t, side: m, "two crops"),
    ("picture_psnr", lambda a, b: psnr(a, b, lambda v: v), "without the rounding"),
    ("picture_psnr", lambda a, b: psnr(a, b, np.floor), "truncated"),
    ("picture_psnr", lambda a, b: -psnr(a, b), "minus sign"),
    ("picture_psnr", lambda a, b: 2 * psnr(a, b), "not 20"),
    ("picture_psnr", lambda a, b: psnr(a, b) * np.log(10), "not of e"),
    ("picture_psnr", lambda a, b: psnr(a, b) - 20 * np.log10(255), "peak"),
    ("picture_psnr", lambda a, b: 10.0, "Round both"),
    ("picture_ssim", lambda x, y: float("nan"), "Step 1 of 3.*NaN"),
    ("picture_ssim", lambda x, y: by_windows(x, y, c=0.05), "Step 1 of 3: .*is not it"),
    ("picture_ssim", lambda x, y: by_windows(x, y, slip=True), "is not it|Step 2 of 3"),
    ("picture_ssim", lambda x, y: 0.6001 if x is not y else 0.5, "Step 1"),
    ("picture_ssim", lambda x, y: by_windows(x, y, torch.ones(11, 11)), "weigh the same"),
    ("picture_ssim", lambda x, y: by_windows(x, y, torch.eye(11)), "covariance"),
    ("train_network", Loop("one more"), "26 batches in 25 steps"),
    ("train_network", Loop("same batch"), "not for those of the steps"),
    ("train_network", Loop("still"), "never move"),
    ("train_network", Loop("constant"), "Set it anew"),
    ("train_network", Loop("add up"), "old gradients"),
    ("train_network", Loop("next"), "one that falls they are not"),
    ("train_network", Loop("no last"), "called 2 times"),
    ("train_network", Loop("gradients"), "without gradients"),
    ("train_network", Loop("train mode"), "validated in training mode"),
    ("train_network", Loop("stays"), "in training mode again"),
    ("train_network", Loop("history"), "an entry a validation"),
    ("train_network", Loop("steps"), "an entry is"),
    ("train_network", Loop("alias"), "keep copies"),
    ("train_network", Loop("last"), "keep copies"),
    ("train_network", Loop("first"), "not the weights of the best"),
    ("split_by_scene", lambda *args: split(*args, scenes=False), "is on both sides"),
    ("split_by_scene", lambda *args: split(*args, least=2), "hold back"),
    ("split_by_scene", lambda *args: split(*args, fixed=True), "is the seed used"),
    ("split_by_scene", lambda names, share, seed: split(names, share, None), "two splits"),
    ("split_by_scene", lambda *args: split(*args)[0], "two lists|Every index"),
    ("split_by_scene", lambda names, share, seed: ([0], [1]), "Every index"),
    ("gains_by_scene", lambda rows, over: list(gains(rows, over)), "Return a dictionary"),
    ("gains_by_scene", lambda rows, over: gains(rows, over, by="psnr"), "keys are the scenes"),
    ("gains_by_scene", lambda rows, over: gains(rows, over, sign=-1), "positive where"),
    ("gains_by_scene", lambda rows, over: gains(rows, "baseline_psnr"), "Over what"),
    ("gains_by_scene", lambda rows, over: dict.fromkeys((1, 2, 3), 0.1), "to be averaged"),
    ("gains_to_training_camera", lambda foreign, ours: foreign, "white balance"),
    ("gains_to_training_camera", lambda foreign, ours: np.divide(ours, foreign), "Upside down"),
    ("gains_to_training_camera", lambda foreign, ours: ours, "each of the two record"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)
