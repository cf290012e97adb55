"""Raw clips in pieces and tiles, and what is refused."""

import numpy as np
import pytest

from lowlight_lib.errors import DataError, OptionError, ShapeError
from lowlight_lib.restore import clip


@pytest.mark.parametrize("seams", clip.SEAMS)
@pytest.mark.parametrize("size", [(7, 9), (16, 40), (33, 64), (90, 17)])
def test_every_frame_comes_back_in_its_place(size, seams):
    x = np.random.default_rng(2).random((7, 4, *size), np.float32)
    done = list(clip.enhance(lambda v: v * 2, x.__getitem__, 7, piece=3, tile=16, overlap=5,
                             seams=seams))  # fmt: skip
    assert [start for start, _ in done] == [0, 3, 6]
    np.testing.assert_allclose(np.concatenate([y for _, y in done]), x * 2, rtol=1e-5)


def test_seams_are_blended():
    """A network that makes each tile another grey: blended, no step is larger than a ramp's."""
    steps = {}
    for seams in clip.SEAMS:
        shades = iter(np.linspace(0, 1, 4))
        [(_, y)] = clip.enhance(
            lambda v, shades=shades: v + next(shades),
            lambda _: np.zeros((1, 4, 30, 42), np.float32),
            1, tile=24, overlap=6, seams=seams,
        )  # fmt: skip
        steps[seams] = max(np.abs(np.diff(y, axis=a)).max() for a in (2, 3))
    assert steps["released"] >= 1 / 6  # half of the difference of two neighbours
    assert steps["blended"] < 0.7 / 7  # between tiles that differ by up to 2/3, ramps of 6 + 1


def test_a_network_or_options_that_do_not_fit_are_refused():
    x = np.zeros((2, 4, 20, 20), np.float32)

    def run(network=lambda v: v, **options):
        return list(clip.enhance(network, x.__getitem__, 2, **options))

    for network in (lambda v: v[:, :3], lambda v: v[..., 1:], lambda v: v[None]):
        with pytest.raises(ShapeError, match=r"made \("):
            run(network)
    x[1] = 1
    with pytest.raises(ShapeError, match="not finite, in frames 1 to 1"):
        run(lambda v: v / (1 - v), piece=1)
    for options, words in (
        ({"seams": "none"}, "unknown seams"), ({"piece": 0}, "a frame at least"),
        ({"tile": 8, "overlap": 8}, "than the overlap"), ({"overlap": -1}, "than the overlap"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=words):
            run(**options)

    def too_large(v):
        raise MemoryError

    with pytest.raises(OptionError, match="--tile 128"):
        run(too_large)


def test_clips_that_cannot_be_told_are_refused(tmp_path):
    path = tmp_path / "clip.npy"

    def opened(array, **options):
        np.save(path, array)
        return clip.open_raw_clip(path, **({"black": 0, "white": 1} | options))

    one = opened(np.full((2, 4, 6, 8), 0.5, np.float32), cfa="BGGR")
    assert one.planes == (2, 1, 1, 0) and not one.like.channels_last
    np.testing.assert_array_equal(one.read(slice(0, 1), 4), np.ones((1, 4, 6, 8)))
    assert opened(np.zeros((2, 6, 8, 4), np.uint16)).read().shape == (2, 4, 6, 8)
    with pytest.raises(ShapeError, match="which axis"):
        opened(np.zeros((2, 4, 6, 4), np.uint16))
    for array, words in (
        (np.zeros((6, 8)), "packed planes"), (np.zeros((2, 3, 6, 8)), "packed planes"),
        (np.zeros((0, 4, 6, 8), np.uint16), "empty|cut short"),
        (np.zeros((1, 4, 6, 8), np.int64), "holds int64"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=words):
            opened(array)
    with pytest.raises(DataError, match="not finite"):
        opened(np.full((1, 4, 6, 8), np.nan, np.float32)).read()
    for options, words in (
        ({"black": None}, "--black"), ({"white": 0}, "not above"), ({"cfa": "XTRANS"}, "planes"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=words):
            opened(np.zeros((1, 4, 6, 8), np.uint16), **options)
    for name, words in (("none.npy", "is missing"), ("clip.ARW", "no .npy clip")):
        with pytest.raises(DataError, match=words):
            clip.open_raw_clip(tmp_path / name, 0, 1)
