"""Files of any camera: filters, levels, colours, and the formats that come out."""

import dataclasses
import json
import math

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import tiny
from support.networks import demosaic

from lowlight_lib import models, recipes
from lowlight_lib.blocks.padding import pad_to_multiple
from lowlight_lib.data import mini, scenes
from lowlight_lib.data.sid import SidDataset
from lowlight_lib.data.sid_lists import SidPair
from lowlight_lib.errors import (
    DataError,
    OptionError,
    OutputError,
    RawFileError,
    ShapeError,
    UnsupportedRawError,
)
from lowlight_lib.evaluation import metrics
from lowlight_lib.io import files
from lowlight_lib.restore.still import TRAINED_AT, open_mosaic, restore, run
from lowlight_lib.sensor import cameras, cfa, colorimetry, colour, isp, noise
from lowlight_lib.sensor.raw import RawImage, read_raw
from lowlight_lib.training import checkpoint, train

PHASES = [np.roll(cfa.XTRANS, s, (0, 1)) for s in np.ndindex(6, 6)]
SIDES = st.tuples(st.integers(6, 40), st.integers(6, 40))
SONY, FOREIGN = cameras.SONY_A7S2, [c for k, c in cameras.CAMERAS.items() if k != "sony_a7s2"]


def flat(rgb, cell, shape, black=512, white=1512, **fields):
    """A mosaic of one colour, rgb in [0, 1]."""
    span = white - cfa.tile(np.broadcast_to(black, cell.shape), shape)
    dn = np.asarray(rgb)[cfa.tile(cell, shape)] * span + (white - span)
    return RawImage(np.rint(dn).astype(np.uint16), cell, black, white, **fields)


# ---- the cameras


@pytest.mark.parametrize("key", cameras.CAMERAS)
def test_calibrated_cameras(key):
    camera = cameras.find_camera(key)
    assert camera is noise.CAMERAS[key]
    assert camera.iso_range[0] == 100
    assert camera.iso_range[1] == pytest.approx(6400, rel=2e-3)  # ranges are given to 4 digits
    span = camera.white_level - camera.black_level
    x = noise.expose(np.full((60, 200), 0.5), 1, camera, 100, 0).astype(float) - camera.black_level
    mean, variance = noise.noise_levels(camera, 100).moments(0.5 * span)
    row = noise.noise_levels(camera, 100).row ** 2
    assert abs(x.mean() - mean) < 5 * math.sqrt(variance / x.size + row / 60)  # five errors
    grey = isp.undevelop(np.full((6, 6, 3), 0.5, np.float32), camera)
    balanced = grey * np.asarray(camera.white_balance)[cfa.tile(camera.cfa, grey.shape)]
    np.testing.assert_allclose(balanced, balanced[0, 0], rtol=1e-5)  # float32


def test_published_lines_of_the_others():
    """exp(bias) K^slope at K = 1, where the slope says nothing."""
    at_one = {
        "nikon_d850": (0.7994, -0.0904, -1.7977),
        "canon_5d4": (1.5122, 1.0927, -0.8079),
        "canon_70d": (1.9983, 1.4643, -0.9371),
        "canon_700d": (2.0799, 1.5370, -0.7756),
    }
    for key, biases in at_one.items():
        camera = cameras.CAMERAS[key]
        iso = 100 / camera.gain_range[0]
        gauss, tukey = (noise.noise_levels(camera, iso, read) for read in ("gauss", "tukey"))
        found = (gauss.read, tukey.read, tukey.row)
        np.testing.assert_allclose(np.log(found), biases, atol=1e-9)
        assert -0.25 < tukey.shape < 0.14  # the ranges that were measured


@pytest.mark.parametrize(
    "key, names",
    [
        ("nikon_d850", ("NIKON D850", "d850", "Nikon-D850")),
        ("canon_5d4", ("Canon EOS 5D Mark IV", "EOS 5D4", "canon_5d4")),
        ("canon_70d", ("Canon EOS 70D", "eos 70d")),
        ("canon_700d", ("Canon EOS 700D", "Canon EOS REBEL T5i", "700D")),
    ],
)
def test_names_of_cameras(key, names):
    for name in names:
        assert cameras.find_camera(name) is cameras.CAMERAS[key]
    with pytest.raises(OptionError, match="canon_700d"):
        cameras.find_camera("7000D")


# ---- the phase of X-Trans


@settings(derandomize=True, deadline=None, max_examples=40)
@given(cell=st.sampled_from(PHASES), shape=SIDES)
def test_to_xtrans_keeps_every_filter(cell, shape):
    """The mosaic holds its filters' numbers and black levels of their own: both must fit after."""
    black = 100 * cell + np.arange(36).reshape(6, 6)
    mosaic = cfa.tile(black, shape) + cfa.tile(cell, shape)
    raw = RawImage(mosaic.astype(np.uint16), cell, black, 1023)
    out, (top, left) = cfa.to_xtrans(raw)
    assert np.array_equal(out.cfa, cfa.XTRANS)
    signal = out.mosaic - cfa.tile(out.black_level, out.mosaic.shape)
    assert np.array_equal(signal, cfa.tile(cfa.XTRANS, out.mosaic.shape))
    assert np.array_equal(out.mosaic[top:, left:], mosaic)
    assert top + left <= 7  # the pattern is its own after (3, 3): of two ways the shorter


def test_to_xtrans_refuses_others(make_raw):
    with pytest.raises(UnsupportedRawError, match="RGGB mosaic, and this network takes X-Trans"):
        cfa.to_xtrans(make_raw())
    with pytest.raises(ShapeError, match="6x6 cell"):
        cfa.to_xtrans(RawImage(np.zeros((5, 9), np.uint16), PHASES[1]))


@settings(derandomize=True, deadline=None, max_examples=40)
@given(shape=SIDES, multiple=st.sampled_from([6, 12, 48]))
def test_padding_by_cells_keeps_the_phase(shape, multiple):
    x = torch.from_numpy(cfa.tile(np.arange(36.0).reshape(6, 6), shape).copy())[None, None]
    y = pad_to_multiple(x, multiple, cell=6)
    h, w = y.shape[-2:]
    assert h % multiple == w % multiple == 0 and h - shape[0] < multiple > w - shape[1]
    assert np.array_equal(y[0, 0].numpy(), cfa.tile(np.arange(36).reshape(6, 6), (h, w)))


# ---- X-Trans through restore


@settings(derandomize=True, deadline=None, max_examples=20)
@given(cell=st.sampled_from(PHASES), shape=SIDES)
def test_x_trans_restores_through_a_network_for_bayer(cell, shape):
    rgb = np.array([0.2, 0.5, 0.8])
    done = restore(flat(rgb, cell, shape), demosaic, "redi", 1.0).image
    assert done.shape == (*shape, 3)
    # the last line of an odd size has half a cell of the stand-in
    assert np.abs(done[: shape[0] // 2 * 2, : shape[1] // 2 * 2] - rgb).max() < 1e-6


class Native:
    """A stand-in that takes X-Trans: returns the mosaic thrice, and looks at what it is given."""

    cfa, multiple, halo = "X-Trans", 48, 288

    def __init__(self):
        self.shapes = []

    def __call__(self, x):
        filters = np.rint(x[0, 0].numpy() * 10).astype(int)
        assert np.array_equal(filters, cfa.tile(cfa.XTRANS, filters.shape))
        self.shapes.append(tuple(x.shape[-2:]))
        return x.expand(1, 3, -1, -1)


@settings(derandomize=True, deadline=None, max_examples=20)
@given(cell=st.sampled_from(PHASES), shape=SIDES)
def test_x_trans_reaches_a_native_network_in_its_phase(cell, shape):
    raw = flat([0.0, 0.1, 0.2], cell, shape)  # each filter records a tenth of its number
    done = restore(raw, Native(), "sid", 1.0).image
    np.testing.assert_array_equal(done[..., 0], raw.normalized())


def test_tiles_of_a_native_network_keep_the_phase():
    raw = flat([0.0, 0.1, 0.2], PHASES[8], (700, 401))
    network = Native()
    done = restore(raw, network, "sid", 1.0, tile=100).image
    np.testing.assert_array_equal(done[..., 1], raw.normalized())
    assert len(network.shapes) == 8 * 5  # tiles of 96, after the lines in front
    assert max(h for h, _ in network.shapes) == 96 + 2 * 288
    with pytest.raises(OptionError, match="at least 48"):
        restore(raw, network, "sid", 1.0, tile=47)


def test_a_native_network_refuses_bayer(make_raw):
    with pytest.raises(UnsupportedRawError, match="use a network for Bayer"):
        restore(make_raw(), Native(), "sid", 1.0)


def test_sid_for_x_trans():
    torch.manual_seed(0)
    net = models.build("sid", cfa="xtrans").eval()
    bayer = models.build("sid")
    assert (net.spec.cfa, net.spec.multiple, net.spec.halo) == ("X-Trans", 48, 288)
    assert (bayer.spec.cfa, bayer.spec.multiple, bayer.spec.halo) == (
        "Bayer",
        32,
        models.SYSTEMS["sid"].spec.halo,
    )
    assert list(net.state_dict()) == list(bayer.state_dict())
    # nine planes for four in the first layer, 27 channels for 12 in the last
    more = 9 * 32 * (9 - 4) + (32 + 1) * (27 - 12)
    assert sum(p.numel() for p in net.parameters()) == models.SYSTEMS["sid"].params + more
    raw = flat([0.2, 0.3, 0.4], PHASES[20], (61, 75))
    assert restore(raw, net, "sid", 2.0).image.shape == (61, 75, 3)
    with pytest.raises(OptionError, match="bayer or xtrans"):
        models.build("sid", cfa="fuji")


def test_sid_for_x_trans_reads_nine_planes():
    """A changed pixel of a plane that the first layer ignores changes nothing; others do."""
    torch.manual_seed(0)
    net = models.build("sid", cfa="xtrans").eval()
    with torch.no_grad():
        net.conv1_1.weight[:, 1:] = 0  # only plane 0 is left, red: (0, 0) of the cell among them
    x = torch.rand(1, 1, 48, 48) / 2
    with torch.inference_mode():
        before = net(x)
        for place, matters in (((24, 24), True), ((24, 25), False), ((25, 24), False)):
            y = x.clone()
            y[0, 0][place] += 0.3
            assert torch.equal(net(y), before) != matters


@pytest.mark.parametrize("kind", ["bayer", "xtrans"])
def test_the_halo_of_sid_is_its_field(kind):
    """What lines a tile depends on: less than the halo on either side, and not much less."""
    torch.manual_seed(0)
    net = models.build("sid", cfa=kind, clip_input=False).eval()
    tile, halo = net.spec.multiple, net.spec.halo
    x = torch.rand(1, 1, 2 * halo + 5 * tile, tile).requires_grad_()
    start = halo + 2 * tile
    net(x)[..., start : start + tile, :].square().sum().backward()
    lines = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    above, below = start - int(lines.min()), int(lines.max()) + 1 - (start + tile)
    assert halo - tile < above <= halo and halo - tile < below <= halo


def test_tiles_of_native_sid_are_exact():
    torch.manual_seed(0)
    net = models.build("sid", cfa="xtrans").eval()
    x = torch.rand(1, 1, 400, 150)
    whole, tiled = run(net, x), run(net, x, tile=96)
    # only float32 sums in another order differ
    assert (whole - tiled).abs().max() < 1e-4 * whole.abs().max()


# ---- levels


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("order", ["RGGB", "GBRG", "XTRANS"])
def test_bit_depths_and_black_levels(bits, order):
    """A flat colour at any depth, with a black level of its own for each place of the cell."""
    cell, white = cfa.from_name(order), 2**bits - 1
    black = white // 20 + np.arange(cell.size).reshape(cell.shape) % 5
    rgb = np.array([0.1, 0.25, 0.4])
    done = restore(flat(rgb, cell, (43, 50), black, white), demosaic, "sid", 2.0)
    # Half a DN of rounding, doubled, of 0.95 white. A remosaic rounds again; its one black level
    # is up to 2 DN from those before, and its range with it: 0.4 of that, doubled.
    assert np.abs(done.image[:42] - 2 * rgb).max() < (3.8 if order == "XTRANS" else 1.2) / white


def test_open_mosaic_takes_x_trans(tmp_path):
    a = np.random.default_rng(0).integers(60, 1023, (13, 18))
    np.save(tmp_path / "a.npy", a)
    raw = open_mosaic(tmp_path / "a.npy", 64, 1023, "x-trans")
    assert np.array_equal(raw.mosaic, a) and cfa.name(raw.cfa) == "X-Trans"
    with pytest.raises(OptionError, match="--black"):
        open_mosaic(tmp_path / "a.npy")
    with pytest.raises(RawFileError, match="does not exist"):
        open_mosaic(tmp_path / "b.npy", 0, 1, "RGGB")


# ---- colour


def ideal(camera):
    """A network that has learned one camera's colours perfectly: white balance, matrix, curve."""
    turn = np.linalg.inv(colorimetry.camera_from_srgb(camera.color_matrix)) @ np.diag(
        camera.white_balance
    )

    def network(x):
        rgb = demosaic(x)[0].permute(1, 2, 0).numpy()
        picture = colorimetry.bt709_encode(rgb @ turn.T.astype(np.float32))
        return torch.from_numpy(picture).permute(2, 0, 1)[None]

    network.spec.trained_on = camera.model  # in daylight
    return network


COLOURS = [(0.5, 0.5, 0.5), (0.6, 0.4, 0.3), (0.35, 0.5, 0.6), (0.4, 0.55, 0.35)]


def of_colour(camera, rgb, shape=(24, 30), **fields):
    light = isp.undevelop(np.full((*shape, 3), rgb, np.float32), camera)
    dn = np.rint(camera.black_level + light * (camera.white_level - camera.black_level))
    known = {"white_balance": camera.white_balance, "color_matrix": camera.color_matrix,
             "model": camera.model}  # fmt: skip
    return RawImage(
        dn.astype(np.uint16), camera.cfa, camera.black_level, camera.white_level, **known | fields
    )


@pytest.mark.parametrize("order", ["RGGB", "BGGR", "XTRANS"])
@pytest.mark.parametrize("camera", FOREIGN, ids=lambda c: c.model)
def test_a_foreign_camera_gets_its_own_colours(camera, order):
    """Through a network that is perfect for the A7S II every colour comes out as it went in.

    Rounded to a DN of at least 12,400 and amplified by white balance (up to 2.8), matrix (up to 2)
    and tone curve (slope up to 2 from 0.3 on): at most 1e-3. X-Trans rounds twice.
    """
    camera = dataclasses.replace(camera, cfa_name=order)
    casts = []
    for rgb in COLOURS:
        raw = of_colour(camera, rgb)
        network = ideal(SONY)
        matched, plain = (
            restore(raw, network, "redi", 1.0, trained_on=t).image[:-1, :-1] for t in ("auto", None)
        )  # without the lines that BGGR leaves half a cell of the stand-in
        assert np.abs(matched - rgb).max() < 2e-3
        casts.append(np.abs(plain - rgb).max())
    assert max(casts) > 0.03  # without it, other colours


def test_another_training_camera():
    """A network may say whose colours it knows; the caller may say otherwise."""
    nikon, canon = cameras.NIKON_D850, cameras.CANON_70D
    network = ideal(nikon)
    raw = of_colour(canon, COLOURS[1])
    given = restore(raw, network, "redi", 1.0, trained_on="Nikon D850").image
    network.spec.trained_on = "NIKON D850"
    assert np.abs(given - COLOURS[1]).max() < 2e-3
    np.testing.assert_array_equal(restore(raw, network, "redi", 1.0).image, given)
    own = of_colour(nikon, COLOURS[1], model="NIKON D850")
    exact = [restore(own, network, "redi", 1.0, trained_on=t).image for t in ("auto", None)]
    np.testing.assert_array_equal(*exact)
    network.spec.trained_on = "a camera that nobody has measured"
    plain = [restore(raw, network, "redi", 1.0, trained_on=t).image for t in ("auto", None)]
    np.testing.assert_array_equal(*plain)
    with pytest.raises(OptionError, match="nikon_d850"):
        restore(raw, network, "redi", 1.0, trained_on="kodak")


@pytest.mark.parametrize(
    "says, gains",
    [
        ({}, TRAINED_AT),
        ({"trained_on": SONY.model}, SONY.white_balance),
        ({"trained_on": SONY.model, "white_balance": (1.5, 1.0, 2.5)}, (1.5, 1.0, 2.5)),
    ],
    ids=["nothing", "camera", "camera and light"],
)
def test_grey_reaches_a_network_as_in_the_light_of_its_training(says, gains):
    seen = []

    def network(x):
        seen.append(demosaic(x).mean((0, 2, 3)).numpy())
        return demosaic(x)

    for name, value in says.items():
        setattr(network, name, value)
    raw = of_colour(cameras.CANON_70D, COLOURS[0])
    restore(raw, network, "redi", 1.0)
    restore(raw, network, "redi", 1.0, trained_on="nikon_d850")  # the caller knows better
    for found, wanted in zip(seen, (gains, cameras.NIKON_D850.white_balance), strict=True):
        np.testing.assert_allclose(found / found[1], 1 / np.asarray(wanted), rtol=2e-3)


def test_training_notes_its_light(tmp_path):
    root = tiny.make_sid(tmp_path, scenes=2).parent
    numbers = recipes.find("redi", "smoke").replace(steps=1, batch=1, crop=32)
    done = train.fit(numbers, root, tmp_path / "run", progress=False)
    found = checkpoint.load("redi", done.checkpoint).white_balance
    gains = [p.white_balance for p in map(read_raw, (root / "SID/Sony/short").iterdir())]
    np.testing.assert_allclose(found, np.exp(np.log(gains).mean(0)), rtol=1e-6)


@pytest.mark.parametrize("model", ["Sony ILCE-7SM2", "ILCE-7SM2"])
def test_the_training_camera_is_left_alone(model):
    """Whatever white balance its file has: bit-equal to no matching at all."""
    raw = of_colour(SONY, COLOURS[1], model=model, white_balance=(1.9, 1.0, 2.2))
    both = [restore(raw, ideal(SONY), "redi", 1.0, trained_on=t).image for t in ("auto", None)]
    np.testing.assert_array_equal(*both)


def test_files_that_say_little_of_their_colours():
    raw = of_colour(cameras.NIKON_D850, COLOURS[1], model=None)
    nothing = dataclasses.replace(raw, white_balance=(1.0, 1.0, 1.0), color_matrix=None)
    assert colour.match(nothing, "sony_a7s2") is None
    only_gains = dataclasses.replace(raw, color_matrix=None)
    found = colour.match(only_gains, "sony_a7s2")
    assert found.matrix is None
    ratio = np.divide(cameras.NIKON_D850.white_balance, SONY.white_balance)
    np.testing.assert_allclose(found.gains, ratio)
    for bad in (np.zeros((3, 3)), np.ones((3, 3)), np.full((3, 3), np.nan)):
        assert colour.match(dataclasses.replace(raw, color_matrix=bad), SONY).matrix is None
    applied_in_camera = dataclasses.replace(raw, white_balance=(1.0, 1.0, 1.0))
    assert colour.match(applied_in_camera, SONY).matrix is not None


@pytest.mark.parametrize("camera", FOREIGN, ids=lambda c: c.model)
def test_grey_stays_grey(camera):
    found = colour.match(of_colour(camera, COLOURS[0]), SONY)
    np.testing.assert_allclose(found.matrix.sum(1), 1)
    grey = np.linspace(0, 1, 600, dtype=np.float32)[:, None, None].repeat(4, 1).repeat(3, 2)
    turned = grey.copy()
    found.after(turned)  # in strips, in place
    np.testing.assert_allclose(turned, grey, atol=2e-6)  # float32 through two powers
    strong = np.float32([[[0.9, 0.2, 0.1]]]).repeat(600, 0)
    found.after(strong)
    assert np.ptp(strong, axis=0).max() == 0 and not np.allclose(strong[0, 0], [0.9, 0.2, 0.1])


def test_the_amplification_is_that_of_the_mosaic_as_recorded():
    raw = of_colour(cameras.NIKON_D850, (0.05, 0.05, 0.05))
    factors = {restore(raw, demosaic, "redi", trained_on=t).amplification for t in ("auto", None)}
    assert len(factors) == 1


def test_released_weights_leave_no_violet_cast(shared):
    """Nikon D1: what is grey in LibRaw's own picture comes out violet, or grey, lawns green."""
    raw = read_raw(shared / "samples" / "nikon_d1_bggr.nef")
    window = np.s_[400:912, 600:1368]
    raw = dataclasses.replace(raw, mosaic=raw.mosaic[window])
    truth = isp.develop(raw)
    network = checkpoint.load("redi", shared / "checkpoints" / "redi_sid_official.pth")
    with_, without = (
        restore(raw, network, "redi", 1.0, trained_on=t).image for t in ("auto", None)
    )
    truth, with_, without = (
        v.reshape(64, 8, 96, 8, 3).mean((1, 3)) for v in (truth, with_, without)
    )
    grey = (np.ptp(truth, axis=2) < 0.03) & (truth.mean(2) > 0.2)
    assert grey.sum() > 100
    violet = [float((v[..., 0] + v[..., 2] - 2 * v[..., 1])[grey].mean()) for v in (with_, without)]
    cast = [np.ptp(v[grey].mean(0)) for v in (with_, without)]
    for left, before in (violet, cast):  # a fifth of what it was, whatever the colour
        assert before > 0.1 and abs(left) < before / 5
    # And no colour in the place of another.
    for k in (0, 2):
        own, theirs = ((v[..., k] - v[..., 1]).ravel() for v in (with_, truth))
        assert np.corrcoef(own, theirs)[0, 1] > 0.6


def test_released_weights_tell_red_from_blue_by_brightness(shared, mini_root):
    """They restore RGGB and GRBG alike, and want the light that they learned in."""
    data = SidDataset(mini_root, "test")
    raw, ratio = data.input(4), data.pairs[4].ratio
    network = checkpoint.load("redi", shared / "checkpoints" / "redi_sid_official.pth")

    def picture(gains, left=0):
        x = (raw.normalized() * np.float32(ratio)).copy()
        colour.ColourMatch(gains, None).before(x, raw.cfa)
        x = torch.from_numpy(x[:256, left : left + 384].copy())[None, None]
        with torch.inference_mode():
            return network(x)[0].permute(1, 2, 0).numpy()

    night = np.divide(SONY.white_balance, TRAINED_AT)
    target = data.target(4)[:256, :384] / np.float32(65535)
    scores = [metrics.psnr(picture(g), target) for g in ((1, 1, 1), night)]
    assert scores[1] > scores[0] + 3
    shifted = metrics.psnr(picture(night, 1)[:, :-1], picture(night)[:, 1:])
    assert shifted > scores[1] + 3


@pytest.mark.parametrize("kind", ["histogram", "conv"])
def test_a_learned_amplifier_sees_rggb(kind):
    from lowlight_lib.blocks.amplifier import LearnedAmplifier

    torch.manual_seed(0)
    amplifier = LearnedAmplifier(kind)
    rgb = (0.02, 0.05, 0.03)
    found = []
    for cell in (cfa.RGGB, cfa.from_name("BGGR"), PHASES[5]):
        raw = flat(rgb, cell, (36, 48), white=16383)
        found.append(restore(raw, demosaic, "redi", amplifier, 2.0).amplification)
    if kind == "conv":  # whose zero padding sees the line that BGGR has more
        found.pop(1)
    np.testing.assert_allclose(found, found[0], rtol=0.05)
    x = torch.from_numpy(flat(rgb, cfa.RGGB, (36, 48), white=16383).normalized())
    assert found[0] == pytest.approx(2 * float(amplifier(x[None, None]).detach()), rel=1e-6)


# ---- the formats that come out


def test_pictures_in_three_formats(tmp_path):
    import tifffile

    picture = tiny.picture(3, (40, 56)) * 1.2 - 0.1  # also outside [0, 1]
    clipped = np.clip(picture, 0, 1)
    for name in ("a.png", "a.TIFF", "a.tif", "a.jpg", "a.jpeg"):
        files.write_picture(tmp_path / name, picture)
    files.write_picture(tmp_path / "b.png", clipped)
    a, b = ((tmp_path / n).read_bytes() for n in ("a.png", "b.png"))
    assert a == b
    exact = tifffile.imread(tmp_path / "a.TIFF")
    assert exact.dtype == np.uint16
    np.testing.assert_array_equal(exact, np.rint(clipped * np.float32(65535)))
    with tifffile.TiffFile(tmp_path / "a.tif") as f:
        assert f.pages[0].photometric == tifffile.PHOTOMETRIC.RGB
    jpeg = iio.imread(tmp_path / "a.jpg")
    assert jpeg.dtype == np.uint8 and jpeg.shape == (40, 56, 3)
    assert np.abs(jpeg / 255 - clipped).mean() < 0.01  # quality 95
    for bad in ("a.gif", "a"):
        with pytest.raises(OptionError, match=r"\.tiff"):
            files.write_picture(tmp_path / bad, picture)
    with pytest.raises(OutputError):
        files.write_picture(tmp_path / "a.png" / "x.png", picture)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "redi.safetensors"
    checkpoint.save(models.build("redi"), path)
    return path


def test_restore_on_the_command_line(tmp_path, weights, capsys):
    import tifffile

    from lowlight_lib.cli import main as cli
    from lowlight_lib.sensor.raw import write_dng

    source = tmp_path / "a.dng"
    camera = dataclasses.replace(cameras.CANON_700D, cfa_name="XTRANS")
    write_dng(source, of_colour(camera, COLOURS[1], (33, 40)))

    def call(name, *more):
        words = ("restore", source, "-o", tmp_path / name, "--checkpoint", weights, *more)
        cli.main([str(w) for w in (*words, "--amplification", 1)])

    with pytest.raises(SystemExit):
        call("0", "--trained-on", "kodak")
    assert "kodak" in capsys.readouterr().err
    pictures = []
    for name, more in (
        ("1", ()),
        ("2", ("--trained-on", "Canon EOS 700D")),
        ("3", ("--no-colour-match",)),
    ):
        with pytest.raises(SystemExit) as e:
            call(name, "--format", "tiff", *more)
        assert not e.value.code
        pictures.append(tifffile.imread(tmp_path / name / "a_redi.tiff"))
    assert pictures[0].shape == (33, 40, 3)
    assert np.array_equal(pictures[1], pictures[2])
    assert not np.array_equal(pictures[0], pictures[1])
    with pytest.raises(SystemExit):
        call("4", "--format", "jpg")
    assert iio.imread(tmp_path / "4" / "a_redi.jpg").shape == (33, 40, 3)


# ---- mini SID of any camera


def small_leaves(seed, real=scenes.dead_leaves):
    return real(seed, (96, 120), 80)


@pytest.fixture
def two_scenes(monkeypatch):
    """Two small scenes instead of twenty, so that a set takes a tenth of a second."""
    monkeypatch.setattr(scenes, "dead_leaves", small_leaves)
    leaves = {"train": ["leaves_2"], "val": [], "test": ["leaves_1"]}
    monkeypatch.setattr(mini.stills, "PICTURES", leaves)


def listed(root):
    return sorted(p.name for p in (root / "SID").glob("*_list.txt"))


def test_mini_sid_of_another_camera(tmp_path, two_scenes):
    mini.stills.MiniSid(tmp_path, 3, "nikon_d850", "grbg").make(progress=False)
    raw = read_raw(tmp_path / "SID/Sony/short/10001_00_0.1s.dng")
    assert (raw.model, cfa.name(raw.cfa), raw.white_level) == ("Nikon D850", "GRBG", 15520)
    assert (raw.black_level == 400).all()
    np.testing.assert_allclose(raw.white_balance, cameras.NIKON_D850.white_balance, atol=1e-3)
    with pytest.raises(OptionError, match="unknown camera"):
        mini.stills.MiniSid(tmp_path, camera="kodak")
    with pytest.raises(ShapeError, match="filter array"):
        mini.stills.MiniSid(tmp_path, cfa="rgbw")
    with pytest.raises(OptionError, match="train, val, test"):
        mini.stills.MiniSid(tmp_path, splits=("tests",))
    assert len(listed(tmp_path)) == 3  # nothing was touched


def test_mini_x_trans_is_named_fuji_and_leaves_nothing_of_the_old_set(tmp_path, two_scenes):
    mini.stills.MiniSid(tmp_path).make(progress=False)
    own = tmp_path / "SID/Sony/short/mine.dng"
    own.write_bytes(b"mine")
    mini.stills.MiniSid(tmp_path, 0, "canon_70d", "xtrans", "test").make(progress=False)
    assert listed(tmp_path) == ["Fuji_test_list.txt"]
    assert [p.name for p in (tmp_path / "SID/Sony").rglob("*.dng")] == ["mine.dng"]
    raw = read_raw(tmp_path / "SID/Fuji/long/10001_00_10s.dng")
    assert np.array_equal(raw.cfa, cfa.XTRANS)
    with pytest.raises(DataError, match="Sony_train_list"):
        SidDataset(tmp_path, "train")
    mini.stills.MiniSid(tmp_path).make(progress=False)
    assert listed(tmp_path) == [f"Sony_{s}_list.txt" for s in ("test", "train", "val")]


def test_ensure_makes_what_is_not_there(tmp_path, two_scenes, monkeypatch):
    made, real = [], mini.MiniSid.make
    monkeypatch.setattr(mini.MiniSid, "make", lambda *a: made.append(a) or real(*a))

    def times(**options):
        made.clear()
        mini.ensure(tmp_path, progress=False, **{"sets": "SID"} | options)
        return len(made)

    assert times() == 1
    # a set of the first version says nothing of filters and splits
    note = {"mini": 1, "camera": SONY.model, "seed": 0, "complete": True}
    (tmp_path / "SID/mini.json").write_text(json.dumps(note))
    assert times() == 0
    assert times(camera="ILCE-7SM2", cfa="RGGB") == 0
    assert times(splits=("test",)) == 0  # it is in there
    assert times(again=True) == 1
    assert times(camera="nikon_d850", splits=("test",)) == 1
    assert times(camera="nikon_d850", splits=("test",)) == 0
    assert times(camera="nikon_d850") == 1  # the other splits are missing
    assert times(camera="nikon_d850", cfa="x-trans") == 1
    assert times(camera="nikon_d850", cfa="XTRANS") == 0
    assert times() == 1


def test_mini_on_the_command_line(tmp_path, two_scenes, capsys):
    from lowlight_lib.cli import main as cli

    words = ["data", "mini", str(tmp_path), "--camera", "Canon EOS 5D Mark IV", "--cfa", "xtrans"]
    with pytest.raises(SystemExit) as e:
        cli.main(words)
    assert not e.value.code
    raw = read_raw(tmp_path / "SID/Fuji/short/00001_00_0.1s.dng")
    assert raw.model == "Canon EOS 5D Mark IV"


# ---- X-Trans data


@pytest.fixture(scope="module")
def fuji(tmp_path_factory):
    """Mini SID of one scene, smaller than what LibRaw develops of X-Trans by itself."""
    root = tmp_path_factory.mktemp("fuji")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mini.stills, "PICTURES", {"train": ["leaves_2"]})
        patch.setattr(scenes, "dead_leaves", small_leaves)
        mini.stills.MiniSid(root, 0, "nikon_d850", "xtrans", "train").make(progress=False)
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


@settings(derandomize=True, deadline=None, max_examples=60)
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
    data.input = lambda i: raw
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
    from lowlight_lib import recipes
    from lowlight_lib.training import train

    small = recipes.find("redi", "smoke").replace(crop=32, steps=1)
    done = train.fit(small, fuji, tmp_path / "run", progress=False)
    assert np.isfinite(done.loss)
