"""The way from a mosaic to a picture, and back."""

import dataclasses
import itertools

import numpy as np
import pytest
from PIL import Image, ImageOps

from lowlight_lib.errors import RawFileError, ShapeError
from lowlight_lib.io import pictures
from lowlight_lib.sensor import cfa, colorimetry, isp
from lowlight_lib.sensor.noise import SONY_A7S2
from lowlight_lib.sensor.raw import RawImage, write_dng

ORDERS = ["RGGB", "GRBG", "GBRG", "BGGR", "XTRANS"]


def smooth_picture(h=96, w=128, brightest=0.7):
    """Slow colour waves, inside the camera's gamut and below 75 % of its white level."""
    y, x = np.mgrid[:h, :w] / 96
    waves = [np.sin(2 * x + 1), np.cos(2 * y), 0.9 * np.sin(1.5 * (x + y))]
    return np.stack([brightest * (0.64 + 0.36 * v) for v in waves], -1).astype(np.float32)


def expose_cleanly(picture, order="RGGB"):
    camera = dataclasses.replace(SONY_A7S2, cfa_name=order)
    span = camera.white_level - camera.black_level
    light = isp.undevelop(picture, camera)
    mosaic = np.rint(camera.black_level + span * light).astype(np.uint16)
    levels = camera.black_level, camera.white_level
    return RawImage(mosaic, camera.cfa, *levels, camera.white_balance, camera.color_matrix)


@pytest.mark.parametrize("order", ORDERS)
def test_develop_inverts_undevelop(order):
    picture = smooth_picture()
    developed = isp.develop(expose_cleanly(picture, order))
    assert developed.shape == picture.shape and developed.dtype == np.float32
    error = np.abs(developed - picture)[8:-8, 8:-8]  # LibRaw treats borders more simply
    # Half a DN of 15871, amplified by gains of at most 2.5, by the matrix (rows of the inverse sum
    # to 1, entries up to 2) and by the tone curve's slope (at most 4.5): under 1e-3. X-Trans
    # looks three times as far for its neighbours, across slopes of 1/50 a pixel.
    assert error.max() < (1e-3 if order != "XTRANS" else 5e-3)
    assert error.mean() < 3e-4


@pytest.mark.parametrize("level", [0.01, 0.1, 0.3, 0.7])
def test_develop_follows_bt709(level, make_raw):
    """A grey mosaic, no matrix and gains of one: nothing but the tone curve is left."""
    raw = make_raw((40, 40), white_level=65535)
    raw = dataclasses.replace(raw, mosaic=np.full((40, 40), round(65535 * level), np.uint16))
    value = 1.099 * level**0.45 - 0.099 if level > 0.018 else 4.5 * level
    # LibRaw's curve is a table over 16 bit; it solves for the constants instead of taking 1.099,
    # 0.099 and 0.018, which is a few parts in 10,000.
    np.testing.assert_allclose(isp.develop(raw), value, atol=1e-3)


def test_undevelop_of_grey_is_grey_after_white_balance():
    light = isp.undevelop(np.full((4, 6, 3), 0.5, np.float32), SONY_A7S2)
    balanced = light * np.array(SONY_A7S2.white_balance)[cfa.tile(SONY_A7S2.cfa, light.shape)]
    expected = ((0.5 + 0.099) / 1.099) ** (1 / 0.45) * min(SONY_A7S2.white_balance)
    np.testing.assert_allclose(balanced, expected, rtol=1e-5)  # float32


def test_undevelop_stays_in_range_and_samples_the_filters():
    colours = np.eye(3, dtype=np.float32)[cfa.tile(SONY_A7S2.cfa, (8, 8))]
    light = isp.undevelop(colours, SONY_A7S2)
    assert light.shape == (8, 8) and light.dtype == np.float32
    assert light.min() >= 0 and light.max() <= 1
    # At each filter the scene shows that filter's own colour: the diagonal of the matrix, made
    # darker so that the weakest gain meets white. 1e-5: float32.
    gains = np.array(SONY_A7S2.white_balance)
    own = np.diag(colorimetry.camera_from_srgb(SONY_A7S2.color_matrix)) * gains.min() / gains
    np.testing.assert_allclose(light, own[cfa.tile(SONY_A7S2.cfa, (8, 8))], rtol=1e-5)
    red = isp.undevelop(np.tile(np.float32([1, 0, 0]), (8, 8, 1)), SONY_A7S2)
    assert red[0, 0] > 4 * red[1, 1]  # red light: much at R, little at B


@pytest.mark.parametrize(
    "order, shape",
    [
        *itertools.product(ORDERS[:4], [(2, 2), (3, 7), (21, 30), (22, 22), (23, 41)]),
        *(("XTRANS", shape) for shape in [(6, 6), (7, 20), (30, 520)]),
    ],
)
def test_small_mosaics_develop(order, shape):
    """One colour all over, black levels by place: any mistake of phase in the padding shows."""
    cell = cfa.from_name(order)
    black = 10 * np.arange(cell.size).reshape(cell.shape)
    light = np.array([200, 300, 400])[cell]  # little red, much blue
    flat = cfa.tile(black + light, shape).astype(np.uint16)
    picture = isp.develop(RawImage(flat, cell, black, white_level=1023))
    assert picture.shape == (*shape, 3)
    # Flat it is, to the steps of 10-bit data on the tone curve (1/1023 * 4.5 / 2).
    np.testing.assert_allclose(picture, np.broadcast_to(picture[0, 0], picture.shape), atol=2.2e-3)
    # BT.709 of 200, 300, 400 in proportion: steps of 0.08 at least; 0.04 tells them apart.
    assert (np.diff(picture[0, 0]) > 0.04).all() and picture[0, 0, 0] > 0.3


def test_what_is_no_picture_or_too_small_for_one_cell(make_raw):
    for shape in ((8, 8), (8, 8, 4), (3, 8, 8, 3)):
        with pytest.raises(ShapeError, match="picture"):
            isp.undevelop(np.zeros(shape), SONY_A7S2)
    for shape, order in (((1, 30), "RGGB"), ((5, 30), "XTRANS")):
        with pytest.raises(ShapeError, match="does not hold"):
            isp.develop(make_raw(shape, order))


def test_develop_does_not_rotate(make_raw):
    raw = make_raw((40, 60))
    upright = isp.develop(raw)
    for orientation in (3, 6, 8):
        turned = isp.develop(dataclasses.replace(raw, orientation=orientation))
        np.testing.assert_array_equal(turned, upright)


def test_develop_takes_a_path_too(tmp_path):
    raw, path = expose_cleanly(smooth_picture(64, 64)), tmp_path / "a.dng"
    write_dng(path, raw)
    np.testing.assert_array_equal(isp.develop(path), isp.develop(raw))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RawFileError, match=r"a\.dng.*damaged.*To fix"):
        isp.develop(path)
    with pytest.raises(RawFileError, match="does not exist"):
        isp.develop(tmp_path / "b.dng")


def test_auto_bright_brightens():
    raw = expose_cleanly(smooth_picture(brightest=0.2))
    assert isp.develop(raw, auto_bright=True).mean() > 1.5 * isp.develop(raw).mean()


def test_bt709_is_its_own_inverse():
    y = np.linspace(0, 1, 4001, dtype=np.float32)
    back = colorimetry.bt709_encode(colorimetry.bt709_decode(y))
    np.testing.assert_allclose(back, y, atol=3e-4)  # where the branches meet, to three digits
    away = np.abs(y - 0.081) > 0.001
    np.testing.assert_allclose(back[away], y[away], atol=2e-6)  # float32 powers


def test_bt709_values_and_limits():
    # By hand from the recommendation: 4.5 * 0.01; 1.099 * 0.5^0.45 - 0.099.
    found = colorimetry.bt709_encode([0, 0.01, 0.5, 1])
    np.testing.assert_allclose(found, [0, 0.045, 0.70552, 1], atol=1e-5)
    assert colorimetry.bt709_encode([-1.0, 7.0]).tolist() == [0, 1]
    assert (np.diff(colorimetry.bt709_encode(np.linspace(0, 1, 1001))) > 0).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 3)])
def test_upright_as_pillow_does_it(orientation, shape):
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    image = Image.fromarray(pixels)
    image.getexif()[274] = orientation
    np.testing.assert_array_equal(
        pictures.upright(pixels, orientation), np.asarray(ImageOps.exif_transpose(image))
    )


def test_camera_matrix_keeps_white():
    for matrix in (SONY_A7S2.color_matrix, np.eye(3) + 0.1, np.diag([1.0, 2.0, 3.0]) + 0.05):
        # float64 sums of three numbers.
        np.testing.assert_allclose(colorimetry.camera_from_srgb(matrix).sum(1), 1, atol=1e-12)


def test_daylight_gains_make_daylight_grey():
    white = np.array([0.95047, 1.0, 1.08883])  # CIE XYZ of D65
    gains = colorimetry.daylight_gains(SONY_A7S2.color_matrix)
    response = np.array(SONY_A7S2.color_matrix) @ white * gains
    # LibRaw's matrix sums to D65 in six digits, here to five.
    np.testing.assert_allclose(response, response[1], rtol=1e-4)
    assert gains[1] == 1
