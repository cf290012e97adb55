"""What every system keeps, whoever wrote it: read from its card and its spec, over SYSTEMS."""

import json

import numpy as np
import pytest
import torch
from support import tiny
from support.networks import SMALL, count, rand, small, tensors
from support.two_processes import run_in_two, train_system

from lowlight_lib import models, recipes
from lowlight_lib.blocks.padding import pad_to_multiple
from lowlight_lib.data import find
from lowlight_lib.deploy import bench, counting, runtime
from lowlight_lib.models import Task
from lowlight_lib.models.spec import Int8
from lowlight_lib.training import checkpoint, losses, state, train

every_system = pytest.mark.parametrize("key", models.SYSTEMS)
VIDEO = Task.RAW_VIDEO
FRAMES = 4  # of a clip of video


def example(key, n, h, w, seed=0):
    """A batch that a system takes: (n, C, H, W), or for video (n, T, 4, H, W)."""
    spec = models.SYSTEMS[key].spec
    frames = [FRAMES] if spec.task is VIDEO else []
    return 0.3 * rand(n, *frames, spec.channels, h, w, seed=seed)


def shapes(key, n, h, w):
    """What a system makes of it, by its task."""
    return {
        Task.RAW_STILL: [(n, 3, h, w)],
        VIDEO: [(n, FRAMES, 4, h, w)],
        Task.PHOTO: [(n, 1, h, w), (n, 3, h, w), (n, 3, h, w)],
    }[models.SYSTEMS[key].spec.task]


def run(network, x):
    with torch.no_grad():
        return tensors(network(x))


def close(found, wanted, atol=1e-5):
    """Equal but for float32 sums in another order."""
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=atol)


# ---- the card


@every_system
def test_the_card_tells_the_truth(key):
    card, network = models.SYSTEMS[key], models.build(key)
    assert network.spec == card.spec.replace(options={}) and card.key == card.spec.key == key
    assert (card.params, card.effective_params) == counting.parameters(network)
    assert card.params == count(network)
    assert card.spec.channels == card.spec.task.channels
    assert str(card.year) in card.paper and card.title and card.licence
    assert all(source.startswith("https://") for source in card.sources)
    assert isinstance(card.int8, Int8) or card.int8


@every_system
@pytest.mark.parametrize("profile", recipes.PROFILES)
def test_there_is_a_recipe_for_every_profile(key, profile):
    r = recipes.find(key, profile)
    assert (r.key, r.profile) == (key, profile) and r.source
    loss = losses.find_loss(r.loss)
    assert loss.pairs == find(key, r.dataset).two_exposures
    assert r.crop >= 11 * 2 ** max(0, getattr(loss, "scales", 1) - 1)  # the window of SSIM
    assert 0 < r.lr_at(r.steps // 2) <= r.lr
    models.build(key, **r.options)


# ---- the network


@every_system
@pytest.mark.parametrize("sides", ["1x1", "1x9", "7x2", "odd", "more", "multiple"])
def test_any_size_goes_in_and_comes_out(key, sides):
    """The same numbers as of an input that was padded by hand, and nothing written into it."""
    network = small(key)
    m = network.spec.multiple
    more = {"odd": (m + 3, 2 * m - 1), "more": (2 * m + 1, m + 2), "multiple": (2 * m, m)}
    h, w = more.get(sides) or map(int, sides.split("x"))
    x = example(key, 1, h, w)
    before = x.clone()
    y = run(network, x)
    assert [part.shape for part in y] == shapes(key, 1, h, w)
    assert all(torch.isfinite(part).all() for part in y)
    assert torch.equal(x, before)
    padded = pad_to_multiple(x.flatten(0, -4), m).unflatten(0, x.shape[:-3])
    by_hand = run(network, padded)
    close([part[..., :h, :w] for part in by_hand], y)


@every_system
def test_inputs_of_a_batch_do_not_mix(key):
    network, x = small(key), example(key, 3, 20, 37)
    alone = [run(network, one[None]) for one in x]
    close(map(torch.cat, zip(*alone, strict=True)), run(network, x))


@every_system
def test_gradients_reach_every_parameter(key):
    network, x = small(key).train(), example(key, 2, 33, 40)
    y = tensors(network(x))
    sum((part - rand(*part.shape, seed=1)).square().mean() for part in y).backward()
    for name, p in network.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all(), name
        assert p.grad.abs().max() > 0, name


@every_system
def test_a_new_network_answers_to_its_input(key):
    """An initialisation that keeps the scale of the input to a factor of a few, so that it learns.

    With PyTorch's default SID's U-Net answers with 0.005, and learns nothing for long. Between the
    ends of PairLIE stand two sigmoids, of slopes 0.1 and 0.25; by default it answers with 4e-6.
    """
    torch.manual_seed(0)
    network, x = models.build(key), example(key, 1, 64, 64)  # training mode: not clamped
    answer = [(a - b).std() for a, b in zip(run(network, x), run(network, 0 * x), strict=True)]
    assert all((0.001 if key == "pairlie" else 0.02) < a < 5 for a in answer), answer


@pytest.mark.parametrize("key", [k for k in models.SYSTEMS if k not in models.of_task(VIDEO)])
def test_a_tile_with_its_halo_is_the_whole(key):
    """Exactly, where the halo is the receptive field; REDI's is shorter, for speed."""
    network = small(key)
    tile, halo = network.spec.multiple, network.spec.halo
    start = -(-halo // tile) * tile + tile
    x = example(key, 1, start + tile + halo + 2 * tile, max(tile, 16))
    seen = x[..., start - halo : start + tile + halo, :]
    assert seen.shape[-2] < x.shape[-2] and (start - halo) % tile == 0
    whole = [part[..., start : start + tile, :] for part in run(network, x)]
    alone = [part[..., halo : halo + tile, :] for part in run(network, seen)]
    close(alone, whole, atol=1e-3 if key == "redi" else 1e-5)


@pytest.mark.parametrize(
    "key, options",
    [
        ("sid", {"clip_input": False}),
        ("sid", {"clip_input": False, "cfa": "xtrans"}),
        ("llpacknet", {}),
        ("pairlie", {}),
    ],
    ids=str,
)
@pytest.mark.parametrize("axis", [2, 3])
def test_the_halo_is_the_receptive_field(key, options, axis):
    """Nothing beyond the halo of a tile is seen, and nearly everything within it."""
    torch.manual_seed(0)
    network = models.build(key, **options).double()
    tile, halo = network.spec.multiple, network.spec.halo
    start = -(-halo // tile) * tile + 2 * tile
    size = [1, network.spec.channels, max(tile, 16), max(tile, 16)]
    size[axis] = 2 * start + tile
    x = rand(*size).double().requires_grad_()
    parts = tensors(network(x))
    sum(part.narrow(axis, start, tile).square().sum() for part in parts).backward()
    seen = x.grad.abs().sum([d for d in range(4) if d != axis]).nonzero().flatten()
    above, below = start - int(seen.min()), int(seen.max()) + 1 - (start + tile)
    assert halo - tile < above <= halo and halo - tile < below <= halo


# ---- files and engines


@every_system
def test_what_is_saved_comes_back(key, tmp_path):
    network = small(key)
    network.spec = network.spec.replace(trained_on="ILCE-7SM2", white_balance=(2.0, 1.0, 1.5))
    checkpoint.save(network, tmp_path / "a.safetensors")
    back = checkpoint.load(key, tmp_path / "a.safetensors")
    assert back.spec == network.spec and back.spec.options == SMALL.get(key, {})
    assert not back.training and all(p.device.type == "cpu" for p in back.parameters())
    x = example(key, 1, 17, 18)
    assert all(map(torch.equal, run(back, x), run(network, x)))
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize(
    "key",
    [  # the stages of a video network take minutes
        pytest.param(key, marks=[pytest.mark.slow] if key in models.of_task(VIDEO) else [])
        for key in models.SYSTEMS
    ],
)
def test_it_is_exported_and_verified(key, tmp_path, lowlight):
    """`lowlight export` compares every file with PyTorch, at two sizes, before it writes it."""
    pytest.importorskip("onnxscript", reason="needs the extra 'deploy'")
    checkpoint.save(small(key), tmp_path / "w.safetensors")
    words = ("export", key, "--checkpoint", tmp_path / "w.safetensors", "-o", tmp_path / "out")
    code, out, err = lowlight(*words, "--json")
    assert code == 0, err
    files = json.loads(out)["files"]
    assert len(files) == len([*(tmp_path / "out").iterdir()]) > 0
    assert all(f["max_difference"] <= 1e-4 for f in files)


@every_system
def test_its_fast_form_gives_the_same(key):
    network, x = small(key), example(key, 1, 18, 21)
    fast = runtime.prepare(network, x, backend="torch")
    assert fast.spec == network.spec
    close(tensors(fast(x)), run(network, x), atol=1e-4)
    assert np.array_equal(fast(x.numpy())[0], fast(x)[0])  # numpy goes in, numpy comes out


@every_system
def test_its_cost_is_counted(key, lowlight):
    card = models.SYSTEMS[key]
    code, out, err = lowlight("cost", key, "--shape", *card.bench["small"], "--count", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["params"], found["effective_params"]) == (card.params, card.effective_params)
    assert found["macs"] >= found["binary_macs"] >= 0 < found["peak_bytes"]


@every_system
def test_it_is_timed(key):
    assert {*models.SYSTEMS[key].bench} == {"full", "medium", "small"}
    rows = bench.bench([key], "small", backends=["torch"], repeats=1, memory=False, progress=False)
    done = {(r["backend"], r["precision"]): r for r in rows}
    assert {("eager", "float32"), ("torch", "float32")} <= {*done}
    assert all(r["seconds"] > 0 and r["model"] == key for r in rows)


# ---- training


def step_of(key):
    """One training step, so small that it is quick: changes of the smoke recipe."""
    crop = 16 if models.SYSTEMS[key].spec.task is not Task.RAW_STILL else 32
    return {"options": SMALL.get(key, {}), "crop": crop, "batch": 2, "steps": 1, "log_every": 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    tiny.make_sid(root)
    tiny.make_photos(root)
    tiny.make_llrvd(root, scenes=(1, 2), shape=(16, 24), frames=4, ratios=(100,))
    return root


@pytest.fixture(scope="module")
def two(data, tmp_path_factory):
    """What two processes leave: a run directory a system."""
    if not torch.distributed.is_available():
        pytest.skip("this PyTorch has no torch.distributed")
    folder = tmp_path_factory.mktemp("two")
    code, said = run_in_two(data, folder, {key: step_of(key) for key in models.SYSTEMS})
    assert code == 0, said
    return folder


@every_system
def test_two_processes_take_the_step_of_one(data, two, tmp_path, key):
    train_system(key, data, tmp_path, **step_of(key))
    losses = [train.read_metrics(run)[0]["loss"] for run in (tmp_path, two / key)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    one, other = (torch.load(f / "gradients.pt", weights_only=True) for f in (tmp_path, two / key))
    assert len(one) == len(other) > 10
    assert max(g.abs().max() for g in one) > 1e-3
    for a, b in zip(one, other, strict=True):
        assert a.dtype == b.dtype == (torch.float64 if key == "brve" else torch.float32)
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    assert json.loads((two / key / "versions.json").read_text())["processes"] == 2
    back = checkpoint.load(key, two / key / state.WEIGHTS)
    assert back.spec.options == SMALL.get(key, {})
