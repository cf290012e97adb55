"""Exercises of notebook 13, from section 6 on: whether the network has cheated, and the 500."""

import numpy as np

from .common import answer_of, exercise


def alike(pairs):
    def apart(a, b):
        return np.sqrt(np.mean((a / a.mean() - b / b.mean()) ** 2))

    n = len(pairs)
    within = np.array([apart(a, b) for a, b in pairs])
    between = np.array(
        [np.mean([apart(pairs[i][0], pairs[j][1]) for j in range(n) if j != i]) for i in range(n)]
    )
    seen = between > 1e-9
    return within, between, np.where(seen, within / np.where(seen, between, 1), 1.0)


@exercise("13.4", 3, alike)
def _(function):
    """Right: a grey wall agrees with itself, and with everything else, and so it earns nothing."""
    rng = np.random.default_rng(0)
    scenes = 0.1 + rng.random((4, 6, 7, 3))
    pairs = [(s, 0.2 * s + 0.02 * rng.random(s.shape)) for s in scenes]
    truth, given = alike(pairs), answer_of(function, pairs)
    said = "Step 1 of 3, within: "
    assert len(given) == 3, f"{said}return three arrays: within, between, ratio."
    within, between, ratio = (np.asarray(g, float) for g in given)
    for name, got in (("within", within), ("between", between), ("ratio", ratio)):
        form = f"{said}{name} has shape {got.shape}. One number for each scene, please."
        assert got.shape == (4,), form
    plain = [np.sqrt(np.mean((a - b) ** 2)) for a, b in pairs]
    for wrong, sentence in (
        (plain, "a picture and a darker copy of it are far apart. Divide each by its mean first."),
        (truth[0] ** 2, "that is the mean square. Take its root."),
    ):
        assert not np.allclose(within, wrong, rtol=1e-3), f"{said}{sentence}"
    assert np.allclose(within, truth[0], rtol=1e-3), f"""{said}{within[0]:.3g} for the first scene
        is not it: the root of the mean square of a difference, over all pixels and colours."""
    said = "Step 1: right. Step 2 of 3, between: "
    own = (3 * truth[1] + truth[0]) / 4
    assert not np.allclose(between, own, rtol=1e-3), f"{said}leave out the scene itself."
    assert not np.allclose(between, 3 * truth[1], rtol=1e-3), f"{said}a mean, not a sum."
    assert np.allclose(between, truth[1], rtol=1e-3), f"""{said}{between[0]:.3g} for the first scene
        is not it: the first picture of it against the *second* of every other scene, on average."""
    said = "Steps 1 and 2: right. Step 3 of 3, the ratio: "
    upside = np.allclose(ratio, truth[1] / truth[0], rtol=1e-3)
    assert not upside, f"{said}it is upside down: small should mean alike within."
    assert np.allclose(ratio, truth[2], rtol=1e-3), f"{said}within over between, scene by scene."
    wall = np.full((6, 7, 3), 0.5)
    with np.errstate(all="ignore"):
        walls = np.asarray(function([(wall, wall)] * 3)[2], float)
    assert np.isfinite(walls).all(), f"{said}grey walls give 0 / 0. What should they earn?"
    assert np.allclose(walls, 1), f"{said}grey walls get {walls[0]:.3g}. They should get 1."


_CASES = [(0.4, 0.2, 1.0), (0.1, 0.3, 500.0), (0.1, 0.3, 5.0)]


@exercise("13.5", 2, lambda image, product, w: (w * image + product) / (w + 1), _CASES)
def best_x(answer, truth, image, product, weight):
    """Right: X is off by 0.04 % of full scale with 500, by 3.3 % with 5."""
    swapped = (image + weight * product) / (weight + 1)
    yield swapped, "You gave the weight to the product. It multiplies (image - X)^2."
    yield True, "Where is the slope of weight (image - X)^2 + (product - X)^2 zero?"
