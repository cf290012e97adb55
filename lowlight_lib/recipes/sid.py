"""How SID is trained: a check of a minute, a lesson on a laptop, and as published."""

from .base import RELEASE, SHORT, SONY_LEVELS, Recipe

PAPER = Recipe(
    "sid", "paper", "l1", steps=644_000, batch=1, crop=1024, lr=1e-4, schedule="drop",
    drop_at=322_000, transpose=0.5, first_of_burst=True, levels=SONY_LEVELS,
    checkpoint_every=1000, log_every=100,
    source="Chen et al., CVPR 2018, section 4.1: 4000 epochs of 161 scenes, packed crop 512, "
    "1e-4, then 1e-5 after 2000 epochs; the initialisation is ours",
)  # fmt: skip
RECIPES = (
    Recipe(
        "sid", "smoke", "l1", steps=12, batch=2, crop=64, lr=5e-4, schedule="one_cycle",
        checkpoint_every=5, log_every=2, source=SHORT,
    ),
    Recipe(
        "sid", "course", "l1", steps=700, batch=4, crop=128, lr=5e-4, schedule="one_cycle",
        transpose=0.5, source=SHORT,
    ),
    PAPER,
    PAPER.replace(
        profile="released", drop_at=322_161, flips_keep="planes",
        source="released code: as the paper, but the rate drops once the epoch is above 2000, "
        "counted from 0, and flips move packed planes; the initialisation is ours",
    ),
    Recipe(
        "sid", "release", "l1_ssim", steps=40_000, batch=6, crop=192, lr=5e-4,
        schedule="one_cycle", transpose=0.5, validate_every=2000, dataset="photos", source=RELEASE,
    ),
)  # fmt: skip
