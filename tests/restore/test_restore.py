"""The one path of a raw still: colours, orientation, amplification, tiles, and what is refused."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from support import tiny
from support.networks import demosaic

from lowlight_lib import models
from lowlight_lib.errors import LowlightError, OptionError, ShapeError
from lowlight_lib.evaluation import metrics
from lowlight_lib.io import pictures
from lowlight_lib.models import with_spec
from lowlight_lib.restore import restore
from lowlight_lib.restore.still import find_amplification, open_mosaic
from lowlight_lib.restore.window import run
from lowlight_lib.sensor import cfa


@pytest.mark.parametrize("name", list(cfa.BAYER))
@pytest.mark.parametrize("shape", [(40, 50), (41, 51)])
def test_every_bayer_order_gives_the_right_colours(name, shape):
    """A grey-free scene of one colour: each filter sees its own part of it."""
    colour = np.array([0.2, 0.5, 0.8])
    cell = cfa.from_name(name)
    dn = 512 + colour[cfa.tile(cell, shape)] * 1000
    raw = tiny.raw_of(np.rint(dn).astype(np.uint16), cell, white_level=1512)
    done = restore(raw, with_spec(demosaic, "sid"), amplification=1.0)
    assert done.image.shape == (*shape, 3)
    assert done.image.dtype == np.float32
    # 1/1000 is the rounding of the mosaic; the last line of an odd size has only half a cell
    assert np.abs(done.image[:-1, :-1] - colour).max() < 2e-3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_come_out_upright(orientation, make_raw):
    raw = make_raw((24, 32), orientation=orientation)
    flat = restore(raw, with_spec(demosaic, "sid"), amplification=1.0, upright=False).image
    done = restore(raw, with_spec(demosaic, "sid"), amplification=1.0).image
    assert np.array_equal(done, pictures.upright(flat, orientation))
    assert done.shape[:2] == ((24, 32) if orientation < 5 else (32, 24))


def test_amplification_is_what_was_asked_for(make_raw):
    raw = make_raw(white_level=16383, black_level=512)
    dark = dataclasses.replace(raw, mosaic=(raw.mosaic // 100 + 512).astype(np.uint16))
    seen = []

    def network(x):
        seen.append(x)
        return demosaic(x)

    done = restore(dark, with_spec(network, "sid"), amplification=20, m=2)
    assert done.amplification == 40
    assert torch.equal(seen[0][0, 0], torch.from_numpy(dark.normalized() * np.float32(40)))
    auto1, auto5 = (restore(dark, with_spec(demosaic, "sid"), m=m).amplification for m in (1, 5))
    assert auto5 == pytest.approx(5 * auto1, rel=1e-6)  # neither end of [1, 300] is reached
    assert set(done.seconds) == {"read", "amplify", "network", "picture"}


def test_m_multiplies_what_was_estimated_and_clipped():
    """As REDI's demo: 53.0806 of its second image becomes 424.6 with m = 8, and not 300; and it
    looks at as many lines as are multiples of 32."""
    mosaic = np.full((64, 96), 514, np.uint16)
    mosaic[::7] = 700
    dark = tiny.raw_of(mosaic)
    one = find_amplification(dark)
    assert 38 < one < 300 < 8 * one and find_amplification(dark, m=8) == 300
    network = with_spec(demosaic, "redi")
    assert [restore(dark, network, m=m).amplification for m in (1, 8)] == [one, 8 * one]
    larger = np.full((79, 97), 9000, np.uint16)
    larger[:64, :96] = mosaic
    assert restore(tiny.raw_of(larger), network).amplification == one
    small = tiny.raw_of(mosaic[:20, :24])
    assert restore(small, network).amplification == find_amplification(small)
    with pytest.raises(OptionError, match="m is above 0"):
        restore(dark, network, m=0)


@pytest.mark.parametrize("bad", ["full", -1, 0, float("nan"), float("inf"), None])
def test_wrong_amplification(bad, make_raw):
    with pytest.raises(OptionError, match="amplification"):
        find_amplification(make_raw(), bad)
    with pytest.raises(OptionError, match="m is above 0"):
        find_amplification(make_raw(), "auto", m=0)


def test_tiles_equal_the_whole_for_a_local_network(make_raw):
    raw = make_raw((203, 301))
    whole = restore(raw, with_spec(demosaic, "redi"), amplification=1.0).image
    tiled = restore(raw, with_spec(demosaic, "redi"), amplification=1.0, tile=64).image
    assert np.array_equal(whole, tiled)
    with pytest.raises(OptionError, match="at least 32"):
        restore(raw, with_spec(demosaic, "redi"), amplification=1.0, tile=16)


def test_tiles_of_a_real_network_are_close_to_the_whole():
    """REDI's halo is shorter than its field of 544 pixels: close, not equal."""
    torch.manual_seed(0)
    net = models.build("redi").eval()
    x = torch.rand(1, 1, 640, 704)
    whole, tiled = run(net, x), run(net, x, tile=320)
    assert (
        metrics.psnr(whole, tiled) > 60
    )  # the weights are random here; the whole field is 544 pixels


def test_tiles_of_sid_are_exact():
    """Its halo covers the receptive field, so only float32 sums in another order differ."""
    torch.manual_seed(0)
    net = models.build("sid").eval()
    x = torch.rand(1, 1, 448, 480)
    whole, tiled = run(net, x), run(net, x, tile=160)
    assert (whole - tiled).abs().max() < 1e-4 * whole.abs().max()


def test_bare_mosaics(tmp_path):
    def opened(array, white=1023):
        np.save(tmp_path / "a.npy", array)
        return open_mosaic(tmp_path / "a.npy", 512, white, "RGGB")

    a = np.full((20, 22), 700.0)
    raw = opened(a)
    assert raw.mosaic.dtype == np.uint16
    assert raw.mosaic[0, 0] == 700
    for words, bad in (
        ("2-D array", (a[0], a[None], a.astype(complex), a[:1])),
        (r"not 0\.\.65535", (a * 1000, -a)),
        ("whole numbers", (a * np.nan, a / np.inf + np.inf, a / 1023)),
    ):  # fmt: skip
        for array in bad:
            with pytest.raises(ShapeError, match=words):
                opened(array)
    with pytest.raises(LowlightError, match="not above black"):
        opened(a, white=512)


def test_out_of_memory_says_what_to_do(make_raw):
    def greedy(x):
        raise RuntimeError("[enforce fail] not enough memory: you tried to allocate 9 bytes")

    def broken(x):
        raise RuntimeError("unsupported memory format")

    with pytest.raises(OptionError, match="--tile"):
        restore(make_raw(), with_spec(greedy, "sid"), amplification=1.0)
    with pytest.raises(RuntimeError, match="memory format"):  # a bug stays a bug
        restore(make_raw(), with_spec(broken, "sid"), amplification=1.0)


def test_a_network_says_how_it_is_fed_and_gives_a_picture(make_raw):
    with pytest.raises(OptionError, match="with_spec"):
        restore(make_raw(), demosaic)
    with pytest.raises(OptionError, match="restore_clip"):
        restore(make_raw(), with_spec(demosaic, "brve"))
    for wrong, words in (
        (lambda x: demosaic(x)[:, :2], r"made \(1, 2, 24, 32\) of \(1, 1, 24, 32\)"),
        (lambda x: demosaic(x) * np.nan, "not finite"),
    ):
        with pytest.raises(ShapeError, match=words):
            restore(make_raw(), with_spec(wrong, "sid"), amplification=1.0)


def test_what_measures_a_network_does_not_wait_for_the_rest_of_restore(root):
    code = "import sys, lowlight_lib.restore.window; print('rawpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
