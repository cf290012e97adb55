"""How LLPackNet is trained: a check of a minute, a lesson on a laptop, and as published."""

from .base import RELEASE, SHORT, SONY_LEVELS, Recipe

PAPER = Recipe(
    "llpacknet", "paper", "llpacknet", steps=400_000, batch=4, crop=512, lr=1e-4,
    flips=(0.2, 0.5), options={"form": "2020"}, first_of_burst=True, levels=SONY_LEVELS,
    checkpoint_every=1000, log_every=100,
    source="Lamba et al., BMVC 2020: the network and the loss of 2020, four crops a step; how the "
    "form of 2022 was trained is not published",
)  # fmt: skip
RECIPES = (
    Recipe(
        "llpacknet", "smoke", "l1_ssim", steps=12, batch=2, crop=64, lr=1e-3,
        schedule="one_cycle", checkpoint_every=5, log_every=2, source=SHORT,
    ),
    Recipe(
        "llpacknet", "course", "l1_ssim", steps=900, batch=8, crop=128, lr=1e-3,
        schedule="one_cycle", transpose=0.5, source=SHORT,
    ),
    PAPER,
    PAPER.replace(
        profile="released", loss="llpacknet_released", batch=1, repeat=4, flips_keep="pixels",
        source="released train.py, since deleted: one crop a step, four steps a picture; its "
        "400,000 iterations are taken to be steps",
    ),
    Recipe(
        "llpacknet", "release", "l1_ssim", steps=30_000, batch=6, crop=192, lr=1e-3,
        schedule="one_cycle", transpose=0.5, validate_every=2000, dataset="photos", source=RELEASE,
    ),
)  # fmt: skip
