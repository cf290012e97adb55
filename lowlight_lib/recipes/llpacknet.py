"""How LLPackNet is trained: a check of a minute, a lesson on a laptop, and as published."""

from .base import SHORT, SONY_LEVELS, Recipe

RECIPES = (
    Recipe(
        "llpacknet", "smoke", "l1_ssim", steps=12, batch=2, crop=64, lr=1e-3,
        schedule="one_cycle", checkpoint_every=5, log_every=2, source=SHORT,
    ),
    Recipe(
        "llpacknet", "course", "l1_ssim", steps=900, batch=8, crop=128, lr=1e-3,
        schedule="one_cycle", transpose=0.5, source=SHORT,
    ),
    Recipe(
        "llpacknet", "paper", "llpacknet", steps=400_000, batch=4, crop=512, lr=1e-4,
        flips=(0.5, 0.2), levels=SONY_LEVELS, checkpoint_every=1000, log_every=100,
        source="Lamba et al., BMVC 2020, released train.py; the four crops of a step come from "
        "four images here, from one there",
    ),
)  # fmt: skip
