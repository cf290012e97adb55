"""How REDI is trained: a check of a minute, a lesson on a laptop, and as published."""

from .base import RELEASE, SHORT, SONY_LEVELS, Recipe

PAPER = Recipe(
    "redi", "paper", "redi_paper", steps=1_000_000, batch=8, crop=512, lr=1e-4, schedule="drop",
    drop_at=500_000, flips=(0.5, 0.2), options={"clamp_in_training": True}, first_of_burst=True,
    levels=SONY_LEVELS, checkpoint_every=1000, log_every=100,
    source="Lamba & Mitra, CVPR 2021, section 4; the network as released, which clamps",
)  # fmt: skip
RECIPES = (
    Recipe(
        "redi", "smoke", "l1_ssim", steps=12, batch=2, crop=64, lr=1e-3, schedule="one_cycle",
        checkpoint_every=5, log_every=2, source=SHORT,
    ),
    Recipe(
        "redi", "course", "l1_ssim", steps=1200, batch=8, crop=128, lr=1e-3,
        schedule="one_cycle", transpose=0.5, source=SHORT,
    ),
    PAPER,
    PAPER.replace(
        profile="released", loss="redi_released", split="train+val", exposure=0.1,
        flips_keep="pixels",
        source="the released code's loss, clamp and flips; its data as its baselines have them, "
        "since its own list pairs inputs with targets of other scenes",
    ),
    Recipe(
        "redi", "release", "l1_ssim", steps=40_000, batch=6, crop=192, lr=1e-3,
        schedule="one_cycle", transpose=0.5, dataset="photos", checkpoint_every=500,
        log_every=100, validate_every=2000, source=RELEASE,
    ),
)  # fmt: skip
