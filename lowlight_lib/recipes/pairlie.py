"""How PairLIE is trained: a check of a minute, a lesson on a laptop, and as published."""

from .base import RELEASE, SHORT, Recipe

RECIPES = (
    Recipe(
        "pairlie", "smoke", "pairlie", steps=12, batch=2, crop=32, lr=1e-3,
        schedule="one_cycle", flips=(0, 0), dataset="pairs", options={"width": 16},
        checkpoint_every=5, log_every=2, source=SHORT,
    ),
    Recipe(
        "pairlie", "course", "pairlie_short", steps=1500, batch=2, crop=32, lr=1e-3,
        schedule="one_cycle", flips=(0, 0), dataset="pairs", source=SHORT,
    ),
    Recipe(
        "pairlie", "paper", "pairlie", steps=129_600, batch=1, crop=128, lr=1e-4,
        schedule="halve", halve_every=32_400, flips=(0, 0), dataset="pairs", seed=123456789,
        checkpoint_every=1000, log_every=100,
        source="Fu et al., CVPR 2023, released code: 400 epochs of 324 scenes, the rate halved "
        "after each hundred",
    ),
    Recipe(
        "pairlie", "release", "pairlie_short", steps=20_000, batch=4, crop=96, lr=5e-4,
        schedule="one_cycle", dataset="pairs", source=RELEASE,
    ),
)  # fmt: skip
