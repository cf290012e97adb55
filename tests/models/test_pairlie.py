"""PairLIE: ranges, single lines, its reach, and names in released files."""

import pytest
import torch
from support.networks import rand
from torch import nn

from lowlight_lib import models
from lowlight_lib.blocks.retinex import Decomposition
from lowlight_lib.errors import CheckpointError
from lowlight_lib.models.released import our_name
from lowlight_lib.training import checkpoint


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
    torch.save(models.build("pairlie", width=8).state_dict(), path)
    with pytest.raises(CheckpointError, match="of other shape"):
        checkpoint.load("pairlie", path)
    assert checkpoint.load("pairlie", path, width=8).project.layers[0].out_channels == 8
