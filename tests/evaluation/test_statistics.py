"""Differences paired by scene, their intervals, and how many scenes are enough."""

import numpy as np
import pytest
from scipy import stats

from lowlight_lib.errors import OptionError
from lowlight_lib.evaluation.statistics import paired, scenes_needed


def test_one_shot_a_scene_is_the_paired_t_test():
    a, b = np.random.default_rng(0).normal([[1.0], [0.5]], 1, (2, 9))
    found = paired(a, b, range(9))
    truth = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert found.t_interval == pytest.approx((truth.low, truth.high))
    assert found.mean == pytest.approx((a - b).mean()) and found.scenes == 9
    assert found.bootstrap_interval[0] < found.mean < found.bootstrap_interval[1]
    assert str(found).endswith("9 scenes")


def test_shots_of_a_scene_are_no_further_evidence():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5))
    scenes = np.arange(5)
    once, often = paired(a, b, scenes), paired(*np.repeat([a, b, scenes], 40, 1))
    assert often.t_interval == pytest.approx(once.t_interval)
    assert often.scenes == 5


def test_the_intervals_hold_what_they_say():
    """Of 400 experiments the t interval misses 5 %; the bootstrap of 12 scenes a little more."""
    rng = np.random.default_rng(0)
    hits = np.zeros(2)
    for _ in range(400):
        d = rng.normal(0.3, 1, 12)
        found = paired(d, 0 * d, range(12), resamples=500)
        hits += [low < 0.3 < high for low, high in found[1:3]]
    assert 0.92 < hits[0] / 400 < 0.98  # two standard errors of 1.1 %, and a half
    assert 0.86 < hits[1] / 400 < 0.97


def test_power():
    assert scenes_needed(1.0, 0.5) == 34  # Cohen's d of 0.5, two-sided 5 %, power 80 %
    assert scenes_needed(1.0, 0.2) == 199
    assert scenes_needed(0, 0.3) == 2
    rng = np.random.default_rng(0)
    n = scenes_needed(0.8, 0.6)
    for scenes, wanted in ((n, 0.8), (n - 3, 0.7)):
        seen = np.mean(
            [stats.ttest_1samp(rng.normal(0.6, 0.8, scenes), 0).pvalue < 0.05 for _ in range(2000)]
        )
        assert (seen > 0.78) if wanted == 0.8 else (seen < 0.78)


@pytest.mark.parametrize(
    "a, b, scenes", [([1, 2], [1], [0, 1]), ([1, np.nan], [1, 2], [0, 1]), ([1, 2], [1, 2], [0])]
)
def test_wrong_calls(a, b, scenes):
    with pytest.raises(OptionError, match="as many, and finite"):
        paired(a, b, scenes)
    with pytest.raises(OptionError, match="1 scene says nothing"):
        paired([1, 2], [1, 3], [7, 7])
    with pytest.raises(OptionError, match="no power"):
        scenes_needed(1, -0.3)
