"""Losses, recipes, and the loop: killed at any moment, it ends in the same weights."""

import dataclasses
import json
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support import tiny
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ref
from torchmetrics.functional.image import structural_similarity_index_measure as ssim_ref

from lowlight_lib import models, recipes
from lowlight_lib.cli.main import main
from lowlight_lib.data import find
from lowlight_lib.data.sid import SidDataset
from lowlight_lib.errors import CheckpointError, LowlightError, OptionError, OutputError, RunError
from lowlight_lib.sensor.raw import read_raw
from lowlight_lib.training import checkpoint, losses, train
from lowlight_lib.training.state import RunDirectory

WITH_TARGETS = {name: loss for name, loss in losses.LOSSES.items() if not loss.pairs}
SMOKE = recipes.find("redi", "smoke").replace(crop=32, steps=12, checkpoint_every=4, log_every=1)


@pytest.fixture(scope="module")
def sid(tmp_path_factory):
    root = tmp_path_factory.mktemp("sid")
    tiny.make_sid(root)
    return root


# ---- losses


def pictures(seed=0, noise=0.1, size=192):
    x = torch.from_numpy(tiny.picture(seed, (size, size)).transpose(2, 0, 1))[None]
    g = torch.Generator().manual_seed(seed)
    return (x + noise * torch.randn(x.shape, generator=g)).clamp(0, 1), x


def test_ssim_and_ms_ssim_equal_the_reference():
    y, x = pictures()
    # The reference pads by reflection, ours does not pad: on the interior they are the same.
    full = ssim_ref(y, x, data_range=1.0, return_full_image=True)[1][..., 5:-5, 5:-5].mean()
    assert losses.ms_ssim(y, x, 1).item() == pytest.approx(full.item(), abs=1e-5)  # float32 sums
    # Over five scales only the borders differ: 5 of 192 pixels here, 5 of 12 on the last scale.
    ours, ref = losses.ms_ssim(y, x, 5).item(), ms_ref(y, x, data_range=1.0).item()
    assert ours == pytest.approx(ref, abs=1e-3)


def test_perfect_prediction_loses_nothing():
    _, x = pictures()
    for name, loss in WITH_TARGETS.items():
        loss = dataclasses.replace(loss, tv=0.0, first=None)  # which only a flat picture has not
        floor = 1e-6 * loss.charbonnier  # the root of its eps
        assert loss(x, x).item() == pytest.approx(floor, abs=1e-6), name


@pytest.mark.parametrize("name", list(WITH_TARGETS))
@pytest.mark.parametrize("kind", ["inverted", "black", "noise", "constant", "far outside"])
def test_gradients_on_a_bad_prediction_are_finite_and_not_zero(name, kind):
    _, x = pictures()
    g = torch.Generator().manual_seed(1)
    bad = (
        {
            "inverted": 1 - x,
            "black": torch.zeros_like(x),
            "noise": torch.rand(x.shape, generator=g),
            "constant": torch.full_like(x, 0.5),
            "far outside": x * 100 - 50,
        }[kind]
        .clone()
        .requires_grad_()
    )
    value = losses.LOSSES[name](bad, x)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(bad.grad).all()
    assert bad.grad.abs().max() > 0


def test_the_released_ms_ssim_differs_on_bad_pictures_alone():
    y, x = pictures()
    ours, released = (losses.ms_ssim(y, x, 5, r).item() for r in (False, True))
    assert 0 < abs(ours - released) < 1e-4  # their weights sum to 1.0001
    bad = (1 - x).requires_grad_()  # a scale of negative contrast
    value = losses.ms_ssim(bad, x, 5, released=True)
    value.backward()
    assert value == 0 and torch.isfinite(bad.grad).all()
    assert losses.ms_ssim(1 - x, x, 5) > 0


def test_the_released_llpacknet_blurs_weakly_and_counts_tv_twice():
    y, x = pictures(noise=0)
    alone = {"l1": 0.0, "weights": 0.0, "first": None}
    kinds = [losses.LOSSES[name] for name in ("llpacknet", "llpacknet_released")]
    tv = [dataclasses.replace(k, **alone, blurred=0.0)(y, x).item() for k in kinds]
    assert tv[1] == pytest.approx(2 * tv[0])
    blurred = [dataclasses.replace(k, **alone, tv=0.0) for k in kinds]
    flat, rough = torch.full_like(x, 0.1), 0.1 * torch.randn(x.shape)
    # The kernel sums to 0.384; the squares of its nine numbers are 8.5 times smaller than ours.
    for off, least, most in ((flat, 6.7, 6.9), (rough, 8, 9)):
        assert least < blurred[0](x + off, x) / blurred[1](x + off, x) < most


@pytest.mark.parametrize("scales", [1, 2, 5])
def test_the_ssim_term_alone_pulls_an_inverted_picture(scales):
    _, x = pictures()
    bad = (1 - x).requires_grad_()
    losses.ms_ssim(bad, x, scales).backward()
    assert torch.isfinite(bad.grad).all()
    assert bad.grad.abs().max() > 0


def test_loss_weights_of_paper_and_code_differ_as_published():
    paper, code = losses.LOSSES["redi_paper"], losses.LOSSES["redi_code"]
    assert (paper.l1, paper.ssim, code.l1, code.ssim) == (0.8, 0.2, 1.0, 0.2)
    y, x = pictures()
    l1 = (y - x).abs().mean().item()
    assert code(y, x).item() - paper(y, x).item() == pytest.approx(0.2 * l1, rel=1e-4)


def test_charbonnier_is_the_absolute_difference_with_a_slope_at_nothing():
    y, x = pictures()
    clip = torch.stack([y, x], 1)  # (N, T, C, H, W)
    got = losses.LOSSES["charbonnier"](clip, torch.stack([x, x], 1)).item()
    assert got == pytest.approx((y - x).abs().mean().item() / 2, abs=1e-6)
    same = torch.zeros(2, 3, requires_grad=True)
    losses.charbonnier(same, torch.zeros(2, 3)).backward()
    assert same.grad.tolist() == [[0.0] * 3] * 2  # and not NaN
    # A clip is so many pictures to the other losses too.
    for name in ("l1_ssim", "llpacknet"):
        loss = losses.LOSSES[name]
        assert loss(clip, clip.flip(1)) == loss(clip.flatten(0, 1), clip.flip(1).flatten(0, 1))


def test_small_crops_are_refused_with_a_way_out():
    x = torch.rand(1, 3, 64, 64)
    with pytest.raises(OptionError, match="l1_ssim"):
        losses.LOSSES["redi_paper"](x, x)
    with pytest.raises(OptionError, match="unknown loss"):
        losses.find_loss("l2")


# ---- recipes


def test_paper_recipes_have_the_papers_numbers():
    r = recipes.find("redi", "paper")
    assert (r.loss, r.steps, r.batch, r.crop) == ("redi_paper", 1_000_000, 8, 512)
    assert r.lr_at(0) == r.lr_at(499_999) == pytest.approx(1e-4)
    assert r.lr_at(500_000) == r.lr_at(999_999) == pytest.approx(1e-5)
    assert r.flips == (0.5, 0.2)
    assert r.options == {"clamp_in_training": True} and r.first_of_burst
    s = recipes.find("sid", "paper")
    assert (s.loss, s.crop, s.lr_at(0), s.lr_at(s.steps - 1)) == ("l1", 1024, 1e-4, 1e-5)

    b = recipes.find("brve", "paper")
    assert (b.loss, b.steps, b.batch, b.crop, b.frames) == ("charbonnier", 100_000, 1, 128, 10)
    assert (b.flips, b.transpose, b.reverse, b.betas) == ((0.5, 0.5), 0.5, 0.5, (0.9, 0.99))
    assert (b.lr_at(0), b.lr_at(100_000)) == pytest.approx((2e-4, 1e-7))
    assert b.lr_at(50_000) == pytest.approx((2e-4 + 1e-7) / 2)

    p = recipes.find("pairlie", "paper")
    assert (p.loss, p.steps, p.batch, p.crop) == ("pairlie", 400 * 324, 1, 128)
    assert (p.flips, p.transpose, p.seed, p.dataset) == ((0, 0), 0, 123456789, "pairs")
    rates = [p.lr_at(324 * epoch) for epoch in (0, 99, 100, 200, 300, 399)]
    assert rates == pytest.approx([1e-4, 1e-4, 5e-5, 2.5e-5, 1.25e-5, 1.25e-5])
    assert losses.LOSSES["pairlie"].weights == (1, 1, 500)
    assert not losses.LOSSES["pairlie"].symmetric and losses.LOSSES["pairlie_symmetric"].symmetric


def test_released_recipes_have_the_codes_numbers():
    r, s, n = (recipes.find(key, "released") for key in ("redi", "sid", "llpacknet"))
    assert (r.loss, r.options, r.flips_keep) == (
        "redi_released", {"clamp_in_training": True}, "pixels",
    )  # fmt: skip
    assert (r.first_of_burst, r.exposure, r.split) == (True, 0.1, "train+val")
    epoch = 161  # above 2000, counted from 0
    assert [s.lr_at(epoch * e) for e in (2000, 2001)] == pytest.approx([1e-4, 1e-5])
    assert s.lr_at(epoch * 2001 - 1) == pytest.approx(1e-4)
    assert (s.first_of_burst, s.flips_keep, s.transpose) == (True, "planes", 0.5)
    assert (n.loss, n.batch, n.repeat, n.flips) == ("llpacknet_released", 1, 4, (0.2, 0.5))
    assert (n.options, n.flips_keep) == ({"form": "2020"}, "pixels")
    for key in ("brve", "pairlie"):  # nothing is known to differ
        paper = recipes.find(key, "paper")
        assert recipes.find(key, "released") == paper.replace(profile="released")


def test_every_recipe_is_complete():
    for key in models.SYSTEMS:
        for profile in recipes.PROFILES:
            r = recipes.find(key, profile)
            assert (r.key, r.profile) == (key, profile)
            losses.find_loss(r.loss)
            assert r.source
            assert 0 < r.lr_at(r.steps // 2) <= r.lr
            assert losses.LOSSES[r.loss].pairs == find(key, r.dataset).two_exposures
            need = 11 * 2 ** max(0, getattr(losses.LOSSES[r.loss], "scales", 1) - 1)
            assert r.crop >= need


def test_wrong_names_are_refused():
    with pytest.raises(OptionError, match="unknown model 'sidd'"):
        recipes.find("sidd", "smoke")
    with pytest.raises(OptionError, match="unknown profile"):
        recipes.find("sid", "quick")
    with pytest.raises(OptionError, match="has no 'step'"):
        SMOKE.replace(step=3)
    with pytest.raises(OptionError, match="needs halve_every"):
        SMOKE.replace(schedule="halve")


# ---- the loop


@pytest.mark.parametrize("key", ["sid", "llpacknet", "redi", "pairlie"])
def test_smoke_training_leaves_a_loadable_run(sid, tmp_path, key):
    if key == "pairlie":
        tiny.make_photos(sid)
    r = recipes.find(key, "smoke").replace(crop=32)
    done = train.fit(r, sid, tmp_path, progress=False)
    assert {p.name for p in tmp_path.iterdir()} == {
        "config.json", "versions.json", "metrics.jsonl", "state.pt", "weights.safetensors",
    }  # fmt: skip
    history = train.read_metrics(tmp_path)
    assert history[-1]["step"] == history[-1]["steps"] == r.steps
    assert np.isfinite([e["loss"] for e in history]).all()
    assert json.loads((tmp_path / "config.json").read_text())["key"] == key
    net = checkpoint.load(key, done.checkpoint)
    fresh = models.build(key, **r.options).state_dict()
    assert any(not torch.equal(v, fresh[k]) for k, v in net.state_dict().items())


def test_training_learns(sid, tmp_path):
    """On three smooth scenes the loss falls clearly, or the loop does not train."""
    train.fit(SMOKE.replace(steps=80, loss="l1"), sid, tmp_path, progress=False)
    history = [e["loss"] for e in train.read_metrics(tmp_path)]
    assert np.mean(history[-20:]) < 0.6 * np.mean(history[:5])


def test_training_notes_the_light_of_its_data(tmp_path):
    root = tiny.make_sid(tmp_path, scenes=2).parent
    numbers = recipes.find("redi", "smoke").replace(steps=1, batch=1, crop=32)
    done = train.fit(numbers, root, tmp_path / "run", progress=False)
    found = checkpoint.load("redi", done.checkpoint).spec.white_balance
    gains = [p.white_balance for p in map(read_raw, (root / "SID/Sony/short").iterdir())]
    np.testing.assert_allclose(found, np.exp(np.log(gains).mean(0)), rtol=1e-6)


def test_finished_run_is_not_trained_again(sid, tmp_path, monkeypatch):
    first = train.fit(SMOKE, sid, tmp_path, progress=False)
    before = first.checkpoint.read_bytes()
    monkeypatch.setattr(
        "lowlight_lib.data.sid.SidDataset.batch", lambda *a, **k: pytest.fail("trained again")
    )
    again = train.fit(SMOKE, sid, tmp_path, progress=False)
    assert again.checkpoint.read_bytes() == before
    assert again.seconds == pytest.approx(first.seconds, abs=1)


def test_run_directory_of_another_recipe_is_refused(sid, tmp_path):
    train.fit(SMOKE, sid, tmp_path, progress=False)
    before = (tmp_path / "weights.safetensors").read_bytes()
    with pytest.raises(RunError, match=r"another recipe: steps is 12 there, 20 here"):
        train.fit(SMOKE.replace(steps=20), sid, tmp_path, progress=False)
    assert (tmp_path / "weights.safetensors").read_bytes() == before
    train.fit(SMOKE.replace(steps=5), sid, tmp_path, resume=False, progress=False)
    assert train.read_metrics(tmp_path)[-1]["step"] == 5


def test_a_run_from_given_weights_is_theirs(sid, tmp_path):
    """They begin it and belong to it: other weights, or none, make another run."""
    first = train.fit(SMOKE, sid, tmp_path / "first", progress=False)
    own = tmp_path / "weights.safetensors"
    own.write_bytes(first.checkpoint.read_bytes())
    slow = SMOKE.replace(lr=1e-12, schedule="constant", steps=2)
    tuned = train.fit(slow, sid, tmp_path / "tuned", weights=own, progress=False)
    before, after = (checkpoint.load("redi", f).state_dict() for f in (own, tuned.checkpoint))
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=0, atol=1e-9)  # two steps of 1e-12
    again = train.fit(slow, sid, tmp_path / "tuned", weights=own, progress=False)
    assert again.steps == 2
    with pytest.raises(RunError, match="start is"):
        train.fit(slow, sid, tmp_path / "tuned", progress=False)
    with pytest.raises(CheckpointError, match="does not exist"):
        train.fit(slow, sid, tmp_path / "other", weights=tmp_path / "none", progress=False)
    with pytest.raises(CheckpointError, match="holds weights of 'redi', not of 'sid'"):
        train.fit(recipes.find("sid", "smoke"), sid, tmp_path / "sid", weights=own, progress=False)
    assert not (tmp_path / "sid").exists() and not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", ["state.pt", "config.json"])
def test_damaged_run_directory(sid, tmp_path, name):
    train.fit(SMOKE, sid, tmp_path, progress=False)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(RunError, match=name):
        train.fit(SMOKE, sid, tmp_path, progress=False)


class NanAt:
    """The loss of the smoke recipe, which becomes NaN at its n-th call."""

    pairs = False

    def __init__(self, n):
        self.real, self.n, self.calls = losses.LOSSES["l1_ssim"], n, 0

    def __call__(self, prediction, target, *_):
        self.calls += 1
        return self.real(prediction, target) * (float("nan") if self.calls == self.n else 1)


def test_nan_loss_stops_the_run(sid, tmp_path, monkeypatch):
    monkeypatch.setitem(losses.LOSSES, "l1_ssim", NanAt(1))
    with pytest.raises(RunError, match="the loss became nan by step 1"):
        train.fit(SMOKE, sid, tmp_path, progress=False)
    assert not (tmp_path / "weights.safetensors").exists()


def test_nothing_is_deleted_before_all_is_right(sid, tmp_path):
    """--restart with a wrong data folder, or a folder of somebody's weights, loses nothing."""
    done = train.fit(SMOKE, sid, tmp_path, progress=False)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(LowlightError, match="Sony_train_list"):
        train.fit(SMOKE, tmp_path / "wrong", tmp_path, resume=False, progress=False)
    assert before == {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    (tmp_path / "config.json").unlink()
    with pytest.raises(RunError, match="whose it is"):
        train.fit(SMOKE, sid, tmp_path, progress=False)
    assert done.checkpoint.read_bytes() == before["weights.safetensors"]
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        train.fit(SMOKE, sid, tmp_path / "file", progress=False)


def test_nan_never_reaches_a_checkpoint(sid, tmp_path, monkeypatch):
    """The loss turns NaN between two checkpoints; the run goes on from the good one."""
    r = SMOKE.replace(log_every=5)
    monkeypatch.setitem(losses.LOSSES, "l1_ssim", NanAt(6))
    with pytest.raises(RunError, match="last checkpoint is from before"):
        train.fit(r, sid, tmp_path, progress=False)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["step"] == 4
    assert all(torch.isfinite(v).all() for v in state["model"].values())
    train.fit(r, sid, tmp_path, progress=False)
    assert train.read_metrics(tmp_path)[-1]["step"] == 12


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": "abc"}, {"steps": 2.5}, {"steps": 0}, {"checkpoint_every": 0}, {"seed": -1},
        {"flips": [1]}, {"flips": [0.5, 2]}, {"schedule": "foo"}, {"lr": -1}, {"lr": "fast"},
        {"levels": 5}, {"betas": 0.9}, {"transpose": float("nan")},
        {"frames": 0}, {"reverse": 1.5}, {"lr_min": 1}, {"amp": 1}, {"betas": [1, 1]},
        {"betas": [0.9, -0.1]}, {"seed": 10**26}, {"dataset": [1]}, {"loss": None}, {"key": {}},
        {"levels": [5, 5]}, {"lr": 10**400}, {"lr": True}, {"options": [1]}, {"first_of_burst": 1},
        {"exclude_misaligned": "no"}, {"halve_every": 10**30},
        {"repeat": 0}, {"validate_every": -1}, {"keep_every": 0.5}, {"exposure": 0},
        {"flips_keep": "colours"}, {"options": []}, {"loss": 5}, {"dataset": []}, {"split": 1},
    ],
)  # fmt: skip
def test_recipes_refuse_what_would_fail_later(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        SMOKE.replace(**wrong)


@pytest.mark.parametrize("huge", [{"batch": 10**9}, {"crop": 10**8}, {"frames": 2**40}])
def test_a_step_fits_into_memory(huge):
    with pytest.raises(OptionError, match="a step has at most 268435456 pixels"):
        SMOKE.replace(**huge)


def test_runs_of_older_recipes_go_on(sid, tmp_path):
    """A run directory from before there were video and mixed precision."""
    train.fit(SMOKE, sid, tmp_path, progress=False)
    config, state = tmp_path / "config.json", tmp_path / "state.pt"
    new = ("frames", "reverse", "lr_min", "amp", "repeat", "split", "exposure", "flips_keep")
    new += ("validate_every", "keep_every")
    old = {k: v for k, v in json.loads(config.read_text()).items() if k not in new}
    config.write_text(json.dumps(old))
    kept = torch.load(state, weights_only=True)
    torch.save({k: v for k, v in kept.items() if k not in ("precision", "scaler")}, state)
    assert train.fit(SMOKE, sid, tmp_path, progress=False).steps == SMOKE.steps
    with pytest.raises(RunError, match="amp is False there, True here"):
        RunDirectory(tmp_path, SMOKE.replace(amp=True)).check()


def test_mixed_precision_is_for_gpus(sid, tmp_path):
    with pytest.raises(OptionError, match="mixed precision is for GPUs"):
        train.fit(SMOKE.replace(amp=True), sid, tmp_path, device="cpu", progress=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_mixed_precision_trains_and_resumes(sid, tmp_path, monkeypatch, name):
    """On a CPU, which the flag refuses, for want of a GPU: the loop's part of it is the same."""
    monkeypatch.setattr(train, "choose", lambda amp, device: name)
    real, seen = train.Precision.predict, []

    def predict(self, model, x):
        hook = lambda layer, given, out: seen.append(out.dtype)  # noqa: E731
        convs = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
        handle = convs[0].register_forward_hook(hook)
        y = real(self, model, x)
        handle.remove()
        assert y.dtype == torch.float32
        return y

    monkeypatch.setattr(train.Precision, "predict", predict)
    train.fit(SMOKE, sid, tmp_path / "whole", progress=False)
    assert set(seen) == {getattr(torch, name)}
    state = torch.load(tmp_path / "whole" / "state.pt", weights_only=True)
    assert {v.dtype for v in state["model"].values()} == {torch.float32}
    assert state["precision"] == name and bool(state["scaler"]) == (name == "float16")

    def stop(self, step, **k):
        if step == 9:
            raise KeyboardInterrupt
        return batch(self, step, **k)

    batch = SidDataset.batch
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SidDataset, "batch", stop)
        train.fit(SMOKE, sid, tmp_path / "cut", progress=False)
    with monkeypatch.context() as patch, pytest.raises(RunError, match=f"was trained in {name}"):
        patch.setattr(train, "choose", lambda amp, device: "float32")
        train.fit(SMOKE, sid, tmp_path / "cut", progress=False)
    train.fit(SMOKE, sid, tmp_path / "cut", progress=False)
    one, two = (tmp_path / f / "weights.safetensors" for f in ("whole", "cut"))
    assert one.read_bytes() == two.read_bytes()


def test_train_as_a_command(sid, tmp_path):
    words = ["redi", "--profile", "smoke", "--steps", 2, "--seed", 5, "--set", "crop=32"]
    words += ["--set", "batch=1", "--data", sid, "--run-dir", tmp_path]
    with pytest.raises(SystemExit) as done:
        main(["train", *map(str, words)])
    assert not done.value.code
    config = json.loads((tmp_path / "config.json").read_text())
    assert [config[k] for k in ("steps", "seed", "crop", "batch", "amp")] == [2, 5, 32, 1, False]


def test_unknown_devices_are_refused():
    with pytest.raises(OptionError, match="no device"):
        train.pick_device("foo")
    if not torch.cuda.is_available():
        with pytest.raises(OptionError, match="no device 'cuda'"):
            train.pick_device("cuda")


def test_full_disk_while_logging(sid, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(train, "json", SimpleNamespace(dumps=full))  # not that of the cache
    with pytest.raises(OutputError, match="no space left"):
        train.fit(SMOKE, sid, tmp_path, progress=False)


def test_no_data_no_run(tmp_path):
    with pytest.raises(LowlightError, match="Sony_train_list"):
        train.fit(SMOKE, tmp_path / "nothing", tmp_path / "run", progress=False)


# ---- validation

PLAIN = SMOKE.replace(schedule="constant", steps=6)
VALIDATED = PLAIN.replace(validate_every=2, keep_every=3, log_every=4)


def test_validation_is_shown_kept_and_changes_nothing(sid, tmp_path, monkeypatch):
    tiny.make_sid(sid, split="val", scenes=2, first=20001)
    plain = train.fit(PLAIN, sid, tmp_path / "plain", progress=False)
    scores = iter([10.0, 12.0, 11.0])
    real = train.Validation.__call__

    def scored(*args):
        found = real(*args)
        assert np.isfinite([found["val_loss"], found["val_psnr"]]).all()
        return found | {"val_psnr": next(scores)}

    monkeypatch.setattr(train.Validation, "__call__", scored)
    done = train.fit(VALIDATED, sid, tmp_path / "run", progress=False)
    assert done.checkpoint.read_bytes() == plain.checkpoint.read_bytes()
    history = {e["step"]: e.get("val_psnr") for e in train.read_metrics(tmp_path / "run")}
    assert history == {2: 10.0, 4: 12.0, 6: 11.0}
    at = {}
    for steps in (3, 4, 6):
        run = train.fit(PLAIN.replace(steps=steps), sid, tmp_path / str(steps), progress=False)
        at[steps] = run.checkpoint.read_bytes()
    kept = {p.stem: p.read_bytes() for p in (tmp_path / "run").glob("weights_*.safetensors")}
    assert kept == {"weights_best": at[4], "weights_3": at[3], "weights_6": at[6]}
    train.fit(PLAIN.replace(steps=1), sid, tmp_path / "run", resume=False, progress=False)
    assert not list((tmp_path / "run").glob("weights_*"))  # of another training


def test_a_killed_training_resumes_with_its_validation(sid, tmp_path, monkeypatch):
    tiny.make_sid(sid, split="val", scenes=2, first=20001)
    whole = train.fit(VALIDATED, sid, tmp_path / "whole", progress=False)
    calls = iter(range(100))
    real = train.Validation.__call__

    def dies(self, *args):
        if next(calls) == 1:
            raise KeyboardInterrupt("killed")
        return real(self, *args)

    monkeypatch.setattr(train.Validation, "__call__", dies)
    with pytest.raises(KeyboardInterrupt, match="killed"):
        train.fit(VALIDATED, sid, tmp_path / "cut", progress=False)
    train.fit(VALIDATED, sid, tmp_path / "cut", progress=False)
    for file in whole.checkpoint.parent.glob("weights*"):
        assert (tmp_path / "cut" / file.name).read_bytes() == file.read_bytes()
    logs = [
        [{k: e.get(k) for k in ("step", "loss", "val_loss", "val_psnr")} for e in entries]
        for entries in map(train.read_metrics, (tmp_path / "whole", tmp_path / "cut"))
    ]
    assert logs[0] == logs[1]


def test_there_is_no_validation_on_what_is_trained_on(sid, tmp_path):
    tiny.make_photos(sid)
    tiny.make_sid(sid, split="val", scenes=2, first=20001)
    pairs = recipes.find("pairlie", "smoke").replace(validate_every=1)
    for recipe in (pairs, VALIDATED.replace(split="train+val")):
        with pytest.raises(OptionError, match="has no validation split"):
            train.fit(recipe, sid, tmp_path / "run", progress=False)


KILLER = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from lowlight_lib.data.sid import SidDataset
from lowlight_lib import recipes
from lowlight_lib.training import train

data, run, where, at = sys.argv[1:3] + [sys.argv[3], int(sys.argv[4])]
count = 0
def wrap(real, name):
    def f(*a, **k):
        global count
        if where == name:
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)
        return real(*a, **k)
    return f
SidDataset.batch = wrap(SidDataset.batch, "batch")       # at the start of a step
torch.optim.Adam.step = wrap(torch.optim.Adam.step, "optimizer")
os.fsync = wrap(os.fsync, "fsync")                       # a checkpoint half-written
os.replace = wrap(os.replace, "replace")                 # a checkpoint written, not yet named
r = recipes.find("redi", "smoke").replace(crop=32, steps=12, checkpoint_every=4, log_every=1)
train.fit(r, data, run, progress=False)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_killed_anywhere_it_ends_in_the_same_weights(sid, tmp_path):
    script = tmp_path / "killer.py"
    script.write_text(KILLER)

    def run(folder, where="nowhere", at=0):
        command = [sys.executable, str(script), str(sid), str(tmp_path / folder), where, str(at)]
        return subprocess.run(command, capture_output=True, text=True)

    whole = run("whole")
    assert whole.returncode == 0, whole.stderr
    # A start writes config, versions and metrics before its first checkpoint. So: before any
    # checkpoint; in the first one; in the second; twice between two; in the last one.
    moments = [("batch", 3), ("fsync", 4), ("replace", 5), ("optimizer", 6), ("batch", 4)]
    for where, at in [*moments, ("replace", 4)]:
        killed = run("cut", where, at)
        assert killed.returncode == -signal.SIGKILL, (where, at, killed.stderr)
    assert list((tmp_path / "cut").glob(".*.part"))  # what the kills left
    with open(tmp_path / "cut" / "metrics.jsonl", "a") as f:
        f.write('{"step": 11, "st')  # a line that the kill cut off
    last = run("cut")
    assert last.returncode == 0, last.stderr
    a, b = (tmp_path / f / "weights.safetensors" for f in ("whole", "cut"))
    assert a.read_bytes() == b.read_bytes()
    logs = [
        [(e["step"], e["loss"]) for e in train.read_metrics(tmp_path / f)] for f in ("whole", "cut")
    ]
    assert logs[0] == logs[1]
    assert [s for s, _ in logs[0]] == list(range(1, 13))
    assert not list((tmp_path / "cut").glob(".*.part"))


MEMORY = """
import sys
from lowlight_lib import recipes
from lowlight_lib.training import train
from lowlight_lib.data.sid import SidDataset

def used():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    kb = {l.split(":")[0]: int(l.split()[1]) for l in lines[1:] if l.endswith("kB")}
    return kb["Anonymous"] + kb["Pss_Shmem"]

peak = 0
real = SidDataset.batch
def batch(self, *a, **k):
    global peak
    out = real(self, *a, **k)
    peak = max(peak, used())
    return out
SidDataset.batch = batch
r = recipes.find("redi", "smoke").replace(crop=32, steps=110, batch=2, checkpoint_every=200)
train.fit(r, sys.argv[1], sys.argv[2], progress=False)
print(peak)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    """10 against 200 images of 384x512: decoded they are 1.6 MB each, 300 MB if they were held."""
    script = tmp_path / "memory.py"
    script.write_text(MEMORY)
    peaks = {}
    source = tiny.make_sid(tmp_path / "one", scenes=1, shape=(384, 512))
    for n in (10, 200):
        folder = tmp_path / str(n) / "SID"
        lines = []
        for i in range(1, n + 1):
            names = f"Sony/short/{i:05d}_00_0.1s.dng", f"Sony/long/{i:05d}_00_10s.dng"
            for name in names:
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.hardlink_to(source / name.replace(f"{i:05d}", "00001"))
            lines.append(f"./{names[0]} ./{names[1]} ISO800 F8")
        (folder / "Sony_train_list.txt").write_text("\n".join(lines))
        command = [sys.executable, str(script), str(folder.parent), str(tmp_path / f"run{n}")]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peaks[n] = int(done.stdout.split()[-1])
    assert peaks[200] - peaks[10] < 150 * 1024, peaks  # kB


def test_a_crop_that_loses_the_phase_is_refused_before_anything_is_decoded(sid, tmp_path):
    with pytest.raises(OptionError, match="Bayer phase is lost; not 33"):
        train.fit(SMOKE.replace(crop=33), sid, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
