"""Retinex by hand and by PairLIE: the split, its loss, the network, the released weights."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from lowlight_lib import models
from lowlight_lib.blocks import retinex
from lowlight_lib.blocks.retinex import Decomposition
from lowlight_lib.errors import CheckpointError, ShapeError
from lowlight_lib.models.released import our_name
from lowlight_lib.restore.still import run
from lowlight_lib.training import checkpoint

quick = settings(derandomize=True, deadline=None, max_examples=20)


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def reference(shared, name):
    file = np.load(shared / "reference" / name)
    return {k: torch.from_numpy(np.asarray(file[k])) for k in file}


def close(a, b):
    # 1e-5: float32 sums in another order; a picture's smallest step is 4e-3.
    torch.testing.assert_close(a, b, rtol=0, atol=1e-5, check_dtype=False)


# ---------------------------------------------------------------------------------------------
# against the released code


def test_the_released_weights(shared):
    ref = reference(shared, "pairlie.npz")
    model = checkpoint.load("pairlie", shared / "checkpoints" / "pairlie_official.pth")
    with torch.no_grad():
        split = model(ref["x"])
    for name in "LRX":
        assert ref[name].std() > 1e-3  # there is something to compare
        close(getattr(split, name), ref[name])
    close(retinex.recompose(split.L, split.R), ref["I02"])
    close(retinex.recompose(split.L, split.R, 0.14), ref["I014"])


def test_the_released_loss(shared):
    ref = reference(shared, "pairlie_loss.npz")
    split = Decomposition(ref["L1"], ref["R1"], ref["X1"])
    close(retinex.consistency(ref["R1"], ref["R2"]), ref["C"])
    close(retinex.retinex(ref["im1"], split), ref["R"])
    close(retinex.projection(ref["im1"], ref["X1"]), ref["P"])
    other = Decomposition(None, ref["R2"], None)  # of the second picture R alone is asked
    whole = retinex.pair_loss(ref["im1"], None, split, other)
    torch.testing.assert_close(
        whole.double(), ref["C"] + ref["R"] + 500 * ref["P"], rtol=1e-5, atol=0
    )


def test_names_of_the_released_file_and_no_others():
    assert our_name("pairlie", "N_net.N_net.1.weight") == "project.layers.0.weight"
    assert our_name("pairlie", "L_net.L_net.13.bias") == "illumination.layers.4.bias"
    for name in ("R_net.L_net.1.weight", "R_net.R_net.2.weight", "project.layers.0.weight"):
        assert our_name("pairlie", name) == name
    ours = models.build("pairlie").state_dict()
    theirs = [f"{n}_net.{n}_net.{i}.{p}" for n in "NLR" for i in (1, 4, 7, 10, 13)
              for p in ("weight", "bias")]  # fmt: skip
    assert sorted(our_name("pairlie", n) for n in theirs) == sorted(ours)


def test_weights_of_another_width_are_refused(tmp_path):
    path = tmp_path / "narrow.pth"
    torch.save(models.build("pairlie", width=8).state_dict(), path, pickle_module=pickle)
    with pytest.raises(CheckpointError, match="of other shape"):
        checkpoint.load("pairlie", path)
    assert checkpoint.load("pairlie", path, width=8).project.layers[0].out_channels == 8


# ---------------------------------------------------------------------------------------------
# the network


def test_shapes_and_ranges():
    model = models.build("pairlie").eval()
    with torch.no_grad():
        split = model(rand(2, 3, 17, 30))
    assert isinstance(split, Decomposition) and split._fields == ("L", "R", "X")
    assert [t.shape[1] for t in split] == [1, 3, 3]
    assert all(t.shape[2:] == (17, 30) and t.min() > 0 and t.max() < 1 for t in split)


def test_a_new_network_takes_black_for_dark_not_for_grey():
    with torch.no_grad():
        split = models.build("pairlie")(torch.zeros(1, 3, 8, 8))
    # X is the start itself; L and R look at it, and see no more than its small values.
    torch.testing.assert_close(split.X, torch.full_like(split.X, 0.12))
    assert split.L.min() > 0.05 and split.L.max() < 0.25 and 0.3 < split.R.mean() < 0.7


@pytest.mark.parametrize("h, w", [(1, 1), (1, 9), (9, 1)])
def test_a_single_line_is_its_own_neighbour(h, w):
    model = models.build("pairlie").eval()
    x = rand(1, 3, h, w)
    with torch.no_grad():
        alone, repeated = model(x), model(x.expand(1, 3, max(h, 12), w).contiguous() if h == 1
                                          else x.expand(1, 3, h, 12).contiguous())  # fmt: skip
    for a, b in zip(alone, repeated, strict=True):
        assert a.shape[-2:] == (h, w)
        torch.testing.assert_close(a, b[..., :h, :w], rtol=0, atol=1e-6)  # other kernels


def test_it_sees_as_far_as_its_card_says_and_no_further():
    """With all weights positive every pixel within reach moves the output."""
    model, halo = models.build("pairlie").eval(), models.SYSTEMS["pairlie"].spec.halo
    for p in model.parameters():
        nn.init.constant_(p, 1e-3)
    x = torch.full((1, 3, 41, 43), 0.5).requires_grad_()
    out = model(x)
    (out.L[0, 0, 20, 21] + out.R[0, 0, 20, 21]).backward()
    rows, cols = (x.grad[0, 0].abs().amax(d).nonzero().flatten() for d in (1, 0))
    assert (rows[0], rows[-1], cols[0], cols[-1]) == (20 - halo, 20 + halo, 21 - halo, 21 + halo)


def test_tiles_are_exact():
    model, card = models.build("pairlie").eval(), models.SYSTEMS["pairlie"]

    def paint(x):
        return model(x).R

    x = rand(1, 3, 70, 61)
    whole, tiled = run(paint, x), run(paint, x, tile=32, card=card)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-6)  # other kernels, same sums


# ---------------------------------------------------------------------------------------------
# light and paint


@quick
@given(h=st.integers(1, 12), w=st.integers(1, 12), radius=st.integers(0, 4))
@example(h=1, w=1, radius=4)
def test_a_split_by_hand_is_a_product(h, w, radius):
    image = rand(2, 3, h, w, seed=h * 20 + w)
    image[0, :, 0, 0] = 0  # black has no paint, and no NaN
    light, paint, same = retinex.decompose(image, radius)
    assert same is image and light.shape == (2, 1, h, w)
    torch.testing.assert_close(light * paint, image, rtol=1e-6, atol=1e-7)  # float32
    assert (light > image.amax(1, keepdim=True) - 1e-6).all() and paint.max() < 1 + 1e-6
    close(retinex.recompose(light, paint, 1.0), image)
    brighter = retinex.recompose(light, paint, 0.2)
    assert (brighter > image - 1e-6).all() and brighter.max() < 1 + 1e-6


def test_a_wider_window_makes_smoother_light():
    image = rand(1, 3, 32, 32)
    rough = [retinex.total_variation(retinex.decompose(image, r).L) for r in (0, 1, 4)]
    assert rough[0] > rough[1] > rough[2]


def test_total_variation_by_hand():
    x = torch.tensor([[0.0, 1.0, 4.0], [2.0, 2.0, 2.0], [3.0, 1.0, 0.0], [2.0, 4.0, 2.5]])
    down = (3 + 0 + 4 + 0 + 2 + 0.5) / 6  # rows 0 to 2 and 1 to 3
    right = (4 + 0 + 3 + 0.5) / 4
    assert retinex.total_variation(x[None, None]).item() == pytest.approx(down + right)
    with pytest.raises(ShapeError, match="3 or more"):
        retinex.total_variation(torch.zeros(1, 1, 2, 9))


def test_the_light_is_a_constant_where_the_picture_is_divided_by_it():
    """stop(L): with L R = X and L = max I the only pull left on L would be that of X / L."""
    light = torch.full((1, 1, 4, 4), 0.5).requires_grad_()
    x = torch.full((1, 3, 4, 4), 0.25)
    image = torch.full((1, 3, 4, 4), 0.5)
    retinex.retinex(image, Decomposition(light, torch.full((1, 3, 4, 4), 0.5), x)).backward()
    assert light.grad.abs().max() == 0
    paint = torch.full((1, 3, 4, 4), 0.7)  # now R - X / L = 0.2, and L R - X = 0.1
    retinex.retinex(image, Decomposition(light, paint, x)).backward()
    # of mean((L R - X)^2) alone: 2 * 0.1 * 0.7, three colours of 48 values
    torch.testing.assert_close(light.grad, torch.full_like(light, 2 * 0.1 * 0.7 * 3 / 48))


def test_both_pictures_count_in_the_symmetric_form_only():
    a, b = rand(2, 3, 8, 8), rand(2, 3, 8, 8, seed=1)
    one, two = (
        Decomposition(*(rand(2, c, 8, 8, seed=s + c + 10 * i) for i, c in enumerate((1, 3, 3))))
        for s in (2, 7)
    )
    swapped = {s: retinex.pair_loss(b, a, two, one, symmetric=s) for s in (False, True)}
    plain = {s: retinex.pair_loss(a, b, one, two, symmetric=s) for s in (False, True)}
    torch.testing.assert_close(plain[True], swapped[True])
    assert abs(plain[False] - swapped[False]) > 1e-3
    torch.testing.assert_close(plain[True], (plain[False] + swapped[False]) / 2)
    weights = (0.5, 1, 5)  # of a fork
    own = retinex.retinex(a, one) + 5 * retinex.projection(a, one.X)
    expected = 0.5 * retinex.consistency(one.R, two.R) + own
    torch.testing.assert_close(retinex.pair_loss(a, b, one, two, weights), expected)


def test_the_second_picture_teaches_through_its_paint():
    model = models.build("pairlie", width=8)
    a, b = rand(1, 3, 16, 16), rand(1, 3, 16, 16, seed=1)
    split = model(b)
    for t in split:
        t.retain_grad()
    retinex.pair_loss(a, b, model(a), split).backward()
    assert split.R.grad.abs().max() > 0 and split.L.grad is None
