"""Exercises of notebook 11, from 11.4 on: the loop, the split, what a test says."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .common import answer_of, exercise


def train_network(network, batch_of, loss_of, validate, steps, lr_at, every):
    optimizer = torch.optim.Adam(network.parameters())
    history, best, lowest = [], None, float("inf")
    network.train()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr_at(step)
        x, y = batch_of(step)
        loss = loss_of(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % every == 0 or step + 1 == steps:
            network.eval()
            with torch.no_grad():
                score = validate(network)
            network.train()
            history.append((step + 1, loss.item(), score))
            if score < lowest:
                lowest = score
                best = {name: value.clone() for name, value in network.state_dict().items()}
    return history, best


class _Probe(nn.Module):
    """A small network that notes in which mode it was called, and whether with gradients."""

    def __init__(self):
        super().__init__()
        self.layer, self.modes = nn.Linear(3, 1), []
        with torch.no_grad():
            self.layer.weight.copy_(torch.tensor([[0.3, -0.2, 0.5]]))
            self.layer.bias.zero_()

    def forward(self, x):
        self.modes.append((self.training, torch.is_grad_enabled()))
        return self.layer(x)


class _Lesson:
    """A training that is known: what it asks for, step by step, and what comes of it."""

    steps, every = 25, 10

    def __init__(self, run, constant=False):
        self.asked, self.modes, self.kept = [], [], []
        self.network, self.constant = _Probe(), constant
        given = self.network, self.batch_of, F.mse_loss, self.validate
        self.answer = run(*given, self.steps, self.lr_at, self.every)

    def lr_at(self, step):
        return 0.1 if self.constant else 0.2 / (1 + step)

    def batch_of(self, step):
        self.asked.append(step)
        rng = np.random.default_rng([3, step])
        x = torch.from_numpy(rng.random((8, 3), dtype=np.float32))
        return x, x @ torch.tensor([[1.0], [2.0], [-1.0]]) + 0.2

    def validate(self, network):
        self.modes.append((network.training, torch.is_grad_enabled()))
        self.kept.append({k: v.clone() for k, v in network.state_dict().items()})
        return (0.5, 0.2, 0.9)[min(len(self.kept), 3) - 1]  # the second is the best

    def weights(self):
        return torch.cat([p.detach().flatten() for p in self.network.parameters()])


@exercise("11.4", 3, train_network)
def _(function):
    """Right: batches by step, the schedule, validation without a trace, and the best weights."""
    ours, theirs = _Lesson(train_network), _Lesson(lambda *args: answer_of(function, *args))
    asked = theirs.asked
    what = f"Step 1 of 4: `batch_of` was asked for {len(asked)} batches in {ours.steps} steps"
    assert len(asked) == ours.steps, f"{what}. One for each step."
    assert asked == sorted(set(asked)), f"{what}, but not for those of the steps 0, 1, 2, ..."
    moved = not torch.equal(theirs.weights(), _Lesson(lambda *_: 0).weights())
    assert moved, "Step 1 of 4: the weights never move. What comes after the loss?"
    same = torch.allclose(ours.weights(), theirs.weights(), atol=1e-5)
    flat = _Lesson(lambda *args: function(*args), constant=True)
    if not same and torch.allclose(
        flat.weights(), _Lesson(train_network, constant=True).weights(), atol=1e-5
    ):
        raise AssertionError("""Step 1 is right. Step 2 of 4: with a rate that stays the same your
            weights are right, with one that falls they are not. Set it anew in every step.""")
    assert same, """Steps 1 and 2 of 4: the weights end elsewhere. Are old gradients cleared before
        new ones come? Is it Adam? Is the rate that of this step, set before the weights move?"""
    _validation(ours, theirs)


def _validation(ours, theirs):
    said = "Steps 1 and 2 are right. Step 3 of 4:"
    n = len(theirs.modes)
    assert n == len(ours.modes), f"""{said} `validate` was called {n} times in {ours.steps} steps
        with every={ours.every}. It is due after steps 10, 20 and the last."""
    assert not any(grad for _, grad in theirs.modes), f"{said} validate without gradients."
    assert not any(mode for mode, _ in theirs.modes), f"""{said} the network was validated in
        training mode. REDI clamps in `eval` mode alone."""
    assert all(mode for mode, _ in theirs.network.modes), f"""{said} after the validation the
        network has to be in training mode again."""
    pair = theirs.answer
    fits = isinstance(pair, (tuple, list)) and len(pair) == 2 and len(pair[0]) == n
    assert fits, f"{said} return the history, an entry a validation, and the best weights."
    history = [[float(v) for v in entry] for entry in pair[0]]
    near = np.allclose(history, [[float(v) for v in e] for e in ours.answer[0]], atol=1e-4)
    assert near, f"{said} an entry is (steps done, this batch's loss, what validate returned)."
    said, best = "Steps 1 to 3 are right. Step 4 of 4:", pair[1]
    assert isinstance(best, dict), f"{said} the best weights are a state dict."
    like = [all(torch.equal(best[k], v) for k, v in kept.items()) for kept in theirs.kept]
    assert not like[-1], f"""{said} your best weights are the last ones. A state dict holds the
        network's own tensors, which go on changing; keep copies. And is lower better?"""
    assert like[1], f"{said} these are not the weights of the best validation."


def split_by_scene(names, share, seed):
    scenes = sorted({name.split("_")[0] for name in names})
    order = np.random.default_rng(seed).permutation(len(scenes))
    held = {scenes[i] for i in order[: max(1, round(share * len(scenes)))]}
    parts = [], []
    for i, name in enumerate(names):
        parts[name.split("_")[0] in held].append(i)
    return parts


@exercise("11.5", 2, split_by_scene)
def _(function):
    """Right: no scene stands on both sides, and the same seed gives the same split."""
    several = set()
    for scenes, shots, share in ((15, 3, 0.2), (7, 4, 0.5), (5, 2, 0.1)):
        names = [f"{s:05}_00_{e}s" for e in range(1, shots + 1) for s in range(1, scenes + 1)]
        for seed in range(6):
            first = answer_of(function, list(names), share, seed)
            assert len(first) == 2, "Return two lists of indices: training, and validation."
            train, val = ([int(i) for i in part] for part in first)
            whole = sorted(train + val) == list(range(len(names)))
            assert whole, "Every index from 0 to len(names) - 1 has to be in one of the two, once."
            there = [{names[i].split("_")[0] for i in part} for part in (train, val)]
            both = sorted(there[0] & there[1])
            assert not both, f"Scene {both[0]} is on both sides. What is drawn: shots, or scenes?"
            n = max(1, round(share * scenes))
            assert len(there[1]) == n, f"""{scenes} scenes and a share of {share}: you hold back
                {len(there[1])} of them. At least one, else the nearest whole number."""
            again = function(list(names), share, seed)
            same = [sorted(p) for p in again] == [sorted(p) for p in first]
            assert same, "Asked twice with the same seed, you give two splits."
            several.add(tuple(sorted(val)))
    assert len(several) > 6, "Other seeds give the same scenes: is the seed used?"


def gains_by_scene(per_image, over):
    gains = {}
    for row in per_image:
        gains.setdefault(row["scene"], []).append(row["psnr"] - row[over])
    return {scene: np.mean(values) for scene, values in gains.items()}


@exercise("11.6", 2, gains_by_scene)
def _(function):
    """Right: as many numbers as there are scenes, and no more."""
    scores = ((1, 20, 15, 18), (1, 24, 15, 19), (2, 18, 12, 18.5), (1, 21, 16, 20), (3, 30, 20, 27))
    names = ("scene", "psnr", "baseline_psnr", "rival_psnr")
    rows = [dict(zip(names, values, strict=True)) for values in scores]
    for over in ("rival_psnr", "baseline_psnr"):
        answer = answer_of(function, [dict(r) for r in rows], over)
        truth = gains_by_scene(rows, over)
        assert isinstance(answer, dict), "Return a dictionary: {scene: mean gain of its shots}."
        assert set(answer) == set(truth), f"Its keys are the scenes, {sorted(truth)}."
        other = gains_by_scene(rows, ({"rival_psnr", "baseline_psnr"} - {over}).pop())
        for scene, gain in truth.items():
            given = float(answer[scene])
            what = f"Scene {scene}, over {over}: you say {given:.3f} dB."
            assert abs(given + gain) > 1e-6, f"{what} A gain is positive where the network wins."
            assert abs(given - other[scene]) > 1e-6, f"{what} Over what? See the argument `over`."
            assert abs(given - gain) < 1e-6, (
                f"{what} Its shots' gains are to be averaged, not more."
            )


def gains_to_training_camera(foreign, training):
    # A grey of 1 is recorded as 1 / gain. What the network knows is 1 / training.
    return tuple(f / t for f, t in zip(foreign, training, strict=True))


_GAINS = [((1.6, 1.0, 1.8), (2.0, 1.0, 1.5)), ((2.2, 1.0, 1.2), (2.2, 1, 1.6))]


@exercise("11.7", 2, gains_to_training_camera, _GAINS)
def _(answer, truth, foreign, training):
    """Right: the network then sees grey as it learned it."""
    yield foreign, "That is white balance. The network expects the training camera's grey."
    yield np.divide(training, foreign), "Upside down: follow one red pixel of the wall through."
    yield True, "What does each of the two record of a wall whose light is 1 in all colours?"
