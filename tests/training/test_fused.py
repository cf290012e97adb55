"""Compiled loops against autograd through the blocks as they stand."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlight_lib import models
from lowlight_lib.blocks.binary import BinaryTransition, DABC2d
from lowlight_lib.training.fused import fuse

BLOCKS = {
    "3x3": lambda c: DABC2d(c),
    "5x5, clipped": lambda c: DABC2d(c, 5, gradient="clip"),
    "no attention": lambda c: DABC2d(c, attention=False),
    "down": lambda c: BinaryTransition(c, c + 3, "down"),
    "up": lambda c: BinaryTransition(c, 2, "up"),
}


def pair(make, seed=0):
    """A block whose parameters are all drawn, some weights beyond 1, and a fused copy."""
    torch.manual_seed(seed)
    plain = make().double()
    with torch.no_grad():
        for p in plain.parameters():
            p.add_(torch.randn_like(p) * 0.7)
    fused = copy.deepcopy(plain)
    fuse(fused)
    return plain, fused


def gradients(module, x, g):
    x = x.detach().requires_grad_()
    y = module(x)
    found = torch.autograd.grad(y, [x, *module.parameters()], g)
    return y, dict(zip(("x", *dict(module.named_parameters())), found, strict=True))


@settings(max_examples=12, deadline=None)
@given(
    kind=st.sampled_from([*BLOCKS]),
    size=st.tuples(*(st.integers(1, n) for n in (3, 9, 6, 6))),
    seed=st.integers(0, 99),
)
def test_values_and_gradients_are_those_of_the_plain_formula(kind, size, seed):
    n, c, h, w = size
    plain, fused = pair(lambda: BLOCKS[kind](c), seed)
    x = 2 * torch.randn(n, c, 2 * h, 2 * w, dtype=torch.float64)
    x[0, 0, 0] = -plain.threshold[0, 0]  # signs that are 0
    y = plain(x)
    g = torch.randn_like(y)
    (y, wanted), (z, found) = gradients(plain, x, g), gradients(fused, x, g)
    torch.testing.assert_close(z, y, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert "_Branch" in str(_functions(z)) and "_Branch" not in str(_functions(y))


def _functions(y):
    todo, seen = [y.grad_fn], set()
    while todo:
        f = todo.pop()
        if f is not None and f not in seen:
            seen.add(f)
            todo += [next_ for next_, _ in f.next_functions]
    return sorted(type(f).__name__ for f in seen)


def test_gradients_of_what_has_true_ones_by_differences():
    """Signs and binary weights have made-up gradients; what comes after the convolution has not."""
    _, fused = pair(lambda: DABC2d(3))
    x, act = torch.randn(2, 3, 4, 5, dtype=torch.float64), fused.act

    def out(before, slope, after, mix):
        tensors = {"act.before": before, "act.slope": slope, "act.after": after}
        tensors["attention.conv.weight"] = mix
        return torch.func.functional_call(fused, tensors, (x,))

    mix = fused.get_parameter("attention.conv.weight")
    given_ = [act.before, act.slope, act.after, mix]
    assert torch.autograd.gradcheck(out, [p.detach().clone().requires_grad_() for p in given_])


def test_a_frame_of_one_pixel_and_what_stays_plain():
    plain, fused = pair(lambda: DABC2d(4))
    x = torch.randn(2, 4, 1, 1, dtype=torch.float64)
    found, wanted = (gradients(m, x, torch.ones_like(x))[1] for m in (fused, plain))
    torch.testing.assert_close(found, wanted)
    with torch.no_grad():
        assert torch.equal(fused(x), plain(x))  # to the bit: it is the same formula
    assert torch.equal(fused.eval()(x), plain.eval()(x))


def test_an_input_that_changed_in_between_is_an_error():
    _, fused = pair(lambda: DABC2d(2))
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64).requires_grad_()
    inner = x * 1
    y = fused(inner)
    inner.detach().add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("shift", ["released", "intended"])
def test_a_whole_network(shift):
    torch.manual_seed(0)
    plain = models.build("brve", channels=4, shift=shift).double().train()
    fused = copy.deepcopy(plain)
    fuse(fused)
    x = torch.rand(1, 3, 4, 8, 16, dtype=torch.float64)
    (y, wanted), (z, found) = (gradients(m, x, torch.ones_like(x)) for m in (plain, fused))
    torch.testing.assert_close(z, y)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
