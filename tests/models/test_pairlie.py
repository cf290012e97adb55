"""PairLIE: ranges, single lines, and names in released files."""

import pytest
import torch
from support.networks import rand

from lowlight_lib import models
from lowlight_lib.blocks.retinex import Decomposition
from lowlight_lib.models.released import our_name


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
        alone = model(x)
        repeated = model(x.expand(1, 3, *((12, w) if h == 1 else (h, 12))).contiguous())
    for a, b in zip(alone, repeated, strict=True):
        torch.testing.assert_close(a, b[..., :h, :w], rtol=0, atol=1e-6)  # other kernels


def test_names_of_the_released_file_and_no_others():
    assert our_name("pairlie", "N_net.N_net.1.weight") == "project.layers.0.weight"
    assert our_name("pairlie", "L_net.L_net.13.bias") == "illumination.layers.4.bias"
    for name in ("R_net.L_net.1.weight", "R_net.R_net.2.weight", "project.layers.0.weight"):
        assert our_name("pairlie", name) == name
    ours = models.build("pairlie").state_dict()
    theirs = [f"{n}_net.{n}_net.{i}.{p}" for n in "NLR" for i in (1, 4, 7, 10, 13)
              for p in ("weight", "bias")]  # fmt: skip
    assert sorted(our_name("pairlie", n) for n in theirs) == sorted(ours)
