"""Data of X-Trans sensors: as RGGB for every network, or as they are."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import tiny
from support.mosaics import PHASES

from lowlight_lib import models, recipes
from lowlight_lib.data import mini, scenes
from lowlight_lib.data.sid import SidDataset, SidPair
from lowlight_lib.errors import OptionError
from lowlight_lib.sensor import cfa
from lowlight_lib.training import train


def small_leaves(seed, real=scenes.dead_leaves):
    return real(seed, (96, 120), 80)


@pytest.fixture(scope="module")
def fuji(tmp_path_factory):
    """Mini SID of one scene, smaller than what LibRaw develops of X-Trans by itself."""
    root = tmp_path_factory.mktemp("fuji")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mini.stills, "PICTURES", {"train": ["leaves_2"]})
        patch.setattr(scenes, "dead_leaves", small_leaves)
        mini.stills.MiniSid(root, 0, "nikon_d850", "xtrans", ("train",)).make(progress=False)
    return root


def test_x_trans_data_come_as_rggb(fuji):
    data = SidDataset(fuji, "train").prepare(progress=False)
    raw = data.input(0)
    assert cfa.name(raw.cfa) == "RGGB"
    assert isinstance(raw.mosaic, np.memmap)
    assert raw.model == "Nikon D850"
    native = SidDataset(fuji, "train", native=True)
    assert cfa.name(native.input(0).cfa) == "X-Trans"
    same = cfa.tile(cfa.XTRANS, raw.mosaic.shape) == cfa.tile(cfa.RGGB, raw.mosaic.shape)
    assert np.array_equal(raw.mosaic[same], native.input(0).mosaic[same])
    assert np.array_equal(native.target(0), data.target(0))
    kinds = {p.name.split(".dng.")[1] for p in (fuji / "cache").rglob("*short*/*.npy")}
    assert kinds == {"mosaic.npy", "mosaic-rggb.npy"}
    x, y = data.batch(0, seed=0, size=2, crop=32)
    assert x.shape == (2, 1, 32, 32) and y.shape == (2, 3, 32, 32)
    levels = SidDataset(fuji, "train", native=True, levels=(410, 15000)).input(0)
    assert (levels.black_level == 410).all() and levels.black_level.shape == (6, 6)


def test_both_parts_of_sid(tmp_path, fuji):
    folder = tiny.make_sid(tmp_path, scenes=1, shape=(24, 24))
    assert SidDataset(tmp_path, "train").input(0).cfa.shape == (2, 2)
    for old in (fuji / "SID" / "Fuji").rglob("*.dng"):
        new = folder / old.relative_to(fuji / "SID")
        new.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(old.read_bytes())
    (folder / "Fuji_train_list.txt").write_bytes(
        (fuji / "SID" / "Fuji_train_list.txt").read_bytes()
    )
    names = [SidDataset(tmp_path, "train", camera=c).pairs[0].input for c in (None, "Fuji")]
    assert [p.parts[-3] for p in names] == ["Sony", "Fuji"]


@settings(max_examples=60)
@given(
    cell=st.sampled_from(PHASES),
    shape=st.tuples(st.integers(11, 50), st.integers(11, 50)),
    crop=st.sampled_from([6, 12, 36]),
    step=st.integers(0, 50),
)
def test_native_crops_lie_in_the_phase_and_fit_their_target(cell, shape, crop, step):
    """Mirrors and transposes too: the filters of a mirrored X-Trans sensor are the same, moved.

    The mosaic holds the filters themselves, over black levels of their own; the target numbers its
    own pixels by filter.
    """
    black = np.arange(36).reshape(6, 6)
    place = np.arange(shape[0] * shape[1]).reshape(shape)
    signal = 1000 * cfa.tile(cell, shape).astype(int) + place % 7
    raw = tiny.raw_of((signal + cfa.tile(black, shape)).astype(np.uint16), cell,
                      black_level=black, white_level=10000)  # fmt: skip
    data = SidDataset.__new__(SidDataset)
    data.pairs = [SidPair(None, None, 1, 0, 1.0, 1.0)]
    data.input, data.native = (lambda i: raw), True
    data.target = lambda i: np.stack([signal] * 3, -1).astype(np.uint16)
    x, y = data.batch(step, seed=0, size=3, crop=crop, flips=(0.5, 0.5), transpose=0.5)
    found = np.rint(y[:, 0] * 65535).astype(int)
    assert (found // 1000 == cfa.tile(cfa.XTRANS, (crop, crop))).all()
    span = 10000 - np.array(black)
    # normalised by each place's own span: between the smallest and the largest
    assert (x[:, 0] * span.min() <= found + 1e-2).all()
    assert (x[:, 0] * span.max() >= found - 1e-2).all()


def test_native_crops_are_whole_cells(fuji):
    data = SidDataset(fuji, "train", native=True)
    with pytest.raises(OptionError, match="multiples of 6"):
        data.batch(0, seed=0, size=1, crop=32)
    net = models.build("sid", cfa="xtrans")
    x, y = data.batch(0, seed=0, size=1, crop=48, transpose=1.0)
    assert net(torch.from_numpy(x)).shape == y.shape


def test_x_trans_data_train_a_network_for_bayer(fuji, tmp_path):
    small = recipes.find("redi", "smoke").replace(crop=32, steps=1)
    done = train.fit(small, fuji, tmp_path / "run", progress=False)
    assert np.isfinite(done.loss)
