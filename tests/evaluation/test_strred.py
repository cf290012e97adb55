"""ST-RRED against scikit-video's figures, and what any distance between videos must do."""

import numpy as np
import pytest

from lowlight_lib.errors import ShapeError
from lowlight_lib.evaluation.strred import SMALLEST, Strred, strred


def clip(seed, shape, scale, noise, moving):
    """Uniform noise or twelve moving waves in 0..scale, and the same with Gaussian noise."""
    rng = np.random.default_rng(seed)
    if moving:
        y, x = np.mgrid[: shape[1], : shape[2]]
        waves = rng.random((12, 4)) * [0.15, np.pi, 6.28, 1]
        a = np.stack([
            sum(np.sin(6.283 * f * (x * np.cos(o) + y * np.sin(o)) + p + t * s)
                for f, o, p, s in waves)
            for t in range(shape[0])
        ])  # fmt: skip
        a = (a - a.min()) / (a.max() - a.min())
    else:
        a = rng.random(shape)
    b = a + noise * rng.standard_normal(shape)
    return (a * scale).astype(np.float32), (b * scale).astype(np.float32)


# skvideo.measure.strred of scikit-video 1.1.11 on `clip(*recipe)`, which computes in float32:
# strred, strredssn, and the rows of strred_array.
REFERENCE = [
    ((0, (5, 101, 77), 1, 0.05, False), 0.0547522, 0.00436089,
     [[0.242498, 0.32158, 0.0877772, 0.168327], [0.120053, 0.282499, 0.0141671, 0.00278208]]),
    ((1, (4, 96, 128), 255, 0.1, False), 176.208, 15.1596,
     [[8.74854, 15.6532, 1.66463, 2.20655], [11.355, 19.4069, 4.19369, 8.1443]]),
    ((2, (4, 120, 160), 1, 0.05, True), 0.101181, 0.00670566,
     [[0.134195, 0.892019, 0.0163518, 0.157507], [0.118827, 0.707534, 0.0812955, 0.117183]]),
    ((3, (3, 41, 43), 1, 0.3, False), 4.16462, 3.39386,
     [[0.635994, 6.5482, 0.518289, 6.5482]]),
]  # fmt: skip


@pytest.mark.parametrize("recipe, whole, number, rows", REFERENCE)
def test_the_figures_are_those_of_scikit_video(recipe, whole, number, rows):
    per_pair, ours, single = strred(*clip(*recipe))
    np.testing.assert_allclose([ours, single], [whole, number], rtol=0.01)
    np.testing.assert_allclose(per_pair, rows, rtol=0.01)


def test_equal_videos_have_distance_0_and_the_order_does_not_matter():
    a, b = clip(0, (5, 64, 80), 1, 0.1, True)
    assert np.all(strred(a, a)[0] == 0) and strred(a, a)[1:] == (0, 0)
    np.testing.assert_array_equal(strred(a, b)[0], strred(b, a)[0])
    dark = np.zeros_like(a)  # nothing to see, and nothing divided by it
    assert strred(dark, dark)[1] == 0 and np.isfinite(strred(dark, b)[0]).all()


def test_more_noise_is_more_distance_and_steady_noise_is_less():
    a, _ = clip(1, (6, 96, 96), 1, 0, True)
    noise = np.random.default_rng(2).standard_normal(a.shape)
    figures = [strred(a, a + s * noise)[1] for s in (0.01, 0.03, 0.1, 0.3)]
    assert figures == sorted(figures) and figures[0] > 0
    steady = a + 0.1 * noise[:1]  # the same in each frame: the differences are clean
    assert strred(a, steady)[0][:, 1].mean() < 0.5 * strred(a, a + 0.1 * noise)[0][:, 1].mean()


def test_a_video_in_pieces_is_the_whole_one():
    a, b = clip(3, (9, 49, 57), 1, 0.1, False)
    total = Strred()
    for start, stop in ((0, 1), (1, 4), (4, 8), (8, 9)):
        total.add(a[start:stop], b[start:stop])
    np.testing.assert_array_equal(total.result()[0], strred(a, b)[0])
    assert len(total.pairs) == 4  # the ninth frame has no partner


def test_what_cannot_be_compared_is_refused():
    a, b = clip(4, (4, SMALLEST, 50), 1, 0.1, False)
    assert np.isfinite(strred(a, b)[1])
    with pytest.raises(ShapeError, match="at least 2 frames"):
        strred(a[:1], b[:1])
    with pytest.raises(ShapeError, match="sides of 41"):
        strred(a[:, 1:], b[:, 1:])
    for wrong in (b[:3], b[..., 1:], b[0]):
        with pytest.raises(ShapeError, match="of one shape"):
            strred(a, wrong)
    with pytest.raises(ShapeError, match="NaN"):
        strred(a, np.where(b > 1, np.nan, b))
    total = Strred()
    total.add(a[:1], b[:1])
    with pytest.raises(ShapeError, match="then of"):
        total.add(np.zeros((1, 50, 50)), np.zeros((1, 50, 50)))
