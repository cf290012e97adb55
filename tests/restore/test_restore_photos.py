"""Any photograph through PairLIE, whole or in tiles, and what is refused."""

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image
from support import tiny
from support.pairlie import network, split

from lowlight_lib import models
from lowlight_lib.blocks.retinex import recompose
from lowlight_lib.errors import OptionError, ShapeError
from lowlight_lib.models import with_spec
from lowlight_lib.restore import restore
from lowlight_lib.sensor.raw import write_dng
from lowlight_lib.training import checkpoint


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "pairlie.safetensors"
    checkpoint.save(network(), path)
    return path


def test_a_photograph_comes_back_brighter_whatever_the_tile(tmp_path):
    dark = (0.2 * tiny.picture(1, (61, 47))).astype(np.float32)
    L, R, _ = split(dark)
    for gamma in (0.2, 0, 1.5):
        done = restore(dark, network(), gamma=gamma)
        np.testing.assert_allclose(done.image, recompose(L, R, gamma), atol=1e-6)
        assert done.amplification == 1 and set(done.seconds) == {"read", "network", "picture"}
    whole = restore(dark, network()).image
    for tile in (1, 16, 33):
        tiled = restore(dark[:30, :20], network(), tile=tile).image
        alone = restore(dark[:30, :20], network(), tile=99).image
        np.testing.assert_allclose(tiled, alone, atol=1e-6)  # other kernels, same sums
    assert whole.mean() > dark.mean()
    parts = restore(dark, with_spec(lambda x: network()(x)[:2], "pairlie")).image  # L and R alone
    np.testing.assert_array_equal(parts, whole)
    brighter = with_spec(lambda x: 2 * x, "pairlie")  # a network that ends in a picture
    picture = restore(dark, brighter).image
    np.testing.assert_allclose(picture, 2 * dark, atol=1e-6)


@pytest.mark.parametrize("kind", ["turned", "grey", "alpha", "16 bits", "jpg"])
def test_odd_photographs(weights, tmp_path, lowlight, kind):
    pixels = np.rint(60 * tiny.picture(2, (21, 34))).astype(np.uint8)
    path, wanted = tmp_path / "a.png", pixels / np.float32(255)
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(pixels).save(path, exif=exif)
        wanted = np.rot90(wanted, -1)
    elif kind == "grey":
        Image.fromarray(pixels[..., 0]).save(path)
        wanted = wanted[..., [0, 0, 0]]
    elif kind == "alpha":
        Image.fromarray(np.dstack([pixels, pixels[..., :1]])).save(path)
    elif kind == "16 bits":
        path = tmp_path / "a.tiff"
        iio.imwrite(path, pixels.astype(np.uint16) * 257 + 3)
        wanted = (pixels.astype(np.uint16) * 257 + 3) / np.float32(65535)
    else:
        path = tmp_path / "a.jpg"
        Image.fromarray(pixels).save(path, quality=95)
        wanted = iio.imread(path) / np.float32(255)
    wanted = np.ascontiguousarray(wanted, np.float32)
    L, R, _ = split(wanted)
    words = ("restore", path, "-o", tmp_path / "out", "--model", "pairlie")
    words += ("--checkpoint", weights, "--gamma", 0.3, "--format", "tiff", "--tile", 20)
    code, out, err = lowlight(*words)
    assert code == 0 and ("21x34" if kind == "turned" else "34x21") in out, err
    seen = iio.imread(tmp_path / "out/a_pairlie.tiff") / 65535
    np.testing.assert_allclose(seen, recompose(L, R, 0.3), atol=2e-5)  # 16 bits and float32


def test_what_is_no_dark_photograph(weights, tmp_path, lowlight):
    good, empty = tmp_path / "good.png", tmp_path / "empty.jpg"
    tiny.write_photo(good, tiny.picture(0, (20, 22)), 0.2)
    empty.touch()
    write_dng(tmp_path / "a.dng", tiny.raw_of(np.full((32, 32), 600, np.uint16)))
    (tmp_path / "text.png").write_text("no picture")
    words = ("--model", "pairlie", "--checkpoint", weights, "-o", tmp_path / "out")
    files = [empty, tmp_path / "a.dng", tmp_path / "text.png", tmp_path / "none.png", good]
    code, _, err = lowlight("restore", *files, *words)
    assert code == 1 and "4 of 5 files failed" in err
    for said in ("empty.jpg: is empty", "a.dng: is not called a picture", "takes raw",
                 "text.png: cannot be read", "none.png: does not exist"):  # fmt: skip
        assert said in err
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["good_pairlie.png"]
    assert "exists already" in lowlight("restore", good, *words)[2]
    for more, said in (
        (("--m", 5), "not amplified"), (("--amplification", 100), "not amplified"),
        (("--gamma", -1), "from 0 up"), (("--tile", 0), "at least 1"),
    ):  # fmt: skip
        code, _, err = lowlight("restore", good, *words, *more, "--force")
        assert code == 1 and said in err
    raw = tiny.raw_of(np.full((20, 22), 600, np.uint16))
    for image, error, words in (
        (raw, OptionError, "no photograph"),
        (np.zeros((4, 4), np.uint8), ShapeError, r"\(H, W, 3\)"),
        (np.full((4, 4, 3), 2.0), ShapeError, "2 to 2"),
    ):  # fmt: skip
        with pytest.raises(error, match=words):
            restore(image, network())
    with pytest.raises(OptionError, match="not amplified"):
        restore(good, network(), amplification=100)


def test_a_folder_is_all_its_photographs(weights, tmp_path, lowlight):
    """As MEF and others come, which have no targets; a folder without any is an error."""
    for name in ("a", "b"):
        tiny.write_photo(tmp_path / f"MEF/{name}.png", tiny.picture(0, (20, 22)), 0.2)
    (tmp_path / "none").mkdir()
    words = ("--model", "pairlie", "--checkpoint", weights, "-o", tmp_path / "out")
    code, out, err = lowlight("restore", tmp_path / "MEF", tmp_path / "none", *words)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "a_pairlie.png",
        "b_pairlie.png",
    ]
    assert code == 1 and "1 of 3 files failed" in err and "none" in err and "b.png ->" in out


def test_a_raw_system_says_where_photographs_go(tmp_path, lowlight):
    tiny.write_photo(tmp_path / "a.png", tiny.picture(0, (20, 22)))
    checkpoint.save(models.build("redi"), tmp_path / "redi.safetensors")
    words = ("restore", tmp_path / "a.png", "-o", tmp_path, "--checkpoint")
    code, _, err = lowlight(*words, tmp_path / "redi.safetensors")
    assert code == 1 and "goes to pairlie" in err
    code, _, err = lowlight(*words, tmp_path / "redi.safetensors", "--gamma", 0.2)
    assert code == 1 and "--gamma is for photographs" in err
