"""The roofline: what is counted and where; nothing here depends on a time."""

import pytest
import torch
from torch import nn

from lowlight_lib import models
from lowlight_lib.deploy import cost, roofline

SHAPES = {
    "sid": (1, 1, 64, 64),
    "llpacknet": (1, 1, 64, 64),
    "redi": (1, 1, 64, 64),
    "pairlie": (1, 3, 20, 30),
    "brve": (3, 4, 16, 16),
}


@pytest.mark.parametrize("key", SHAPES)
def test_blocks_hold_all_the_work_and_each_once(key):
    model = models.build(key).eval()
    found = roofline.blocks(model, SHAPES[key], repeats=1)
    assert sum(b.flops for b in found) == 2 * cost.count(model, SHAPES[key]).macs
    names = [b.name for b in found]
    assert len({*names}) == len(names)
    assert not any(n != m and n.startswith(f"{m}.") for n in names for m in names)
    assert all(b.seconds > 0 and b.bytes > 0 for b in found)
    assert not any(h for m in model.modules() for h in (m._forward_hooks, m._forward_pre_hooks))


def test_a_block_in_numbers():
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 1, 1, bias=False))
    first, second = roofline.blocks(net.eval(), (1, 2, 4, 5), repeats=1)
    assert (first.name, first.flops) == ("0", 2 * 20 * 2 * 3 * 9)
    assert first.bytes == 4 * (2 * 20 + 3 * 20 + 2 * 3 * 9 + 3)
    assert (second.flops, second.bytes) == (2 * 20 * 3, 4 * (3 * 20 + 20 + 3))
    assert first.intensity == first.flops / first.bytes


def test_a_network_without_parts_is_one_block():
    [only] = roofline.blocks(nn.Conv2d(1, 1, 3).eval(), (1, 1, 8, 8))
    assert (only.name, only.flops) == ("", 2 * 36 * 9)


def test_the_roof():
    roof = roofline.Roof(peak=100.0, bandwidth=10.0)
    assert [roof.bound(i) for i in (1, 10, 50)] == [10, 100, 100]
    measured = roofline.measure_roof(torch.float32, sides=(64,), megabytes=1, repeats=1)
    assert measured.peak > 0 and measured.bandwidth > 0
