"""How BRVE is trained: a check of a minute, a lesson on a laptop, and as published."""

from .base import RELEASE, SHORT, Recipe

RECIPES = (
    Recipe(
        "brve", "smoke", "charbonnier", steps=12, batch=2, crop=32, frames=3, lr=1e-3,
        schedule="cosine", dataset="llrvd", options={"channels": 8}, checkpoint_every=5,
        log_every=2, source=SHORT,
    ),
    Recipe(
        "brve", "course", "charbonnier", steps=330, batch=2, crop=40, frames=5, lr=2e-3,
        schedule="one_cycle", transpose=0.5, reverse=0.5, dataset="llrvd",
        options={"channels": 16}, source=SHORT,
    ),
    Recipe(
        "brve", "paper", "charbonnier", steps=100_000, batch=1, crop=128, frames=10, lr=2e-4,
        schedule="cosine", lr_min=1e-7, betas=(0.9, 0.99), transpose=0.5, reverse=0.5,
        dataset="llrvd", checkpoint_every=1000, log_every=100,
        source="Zhang et al., CVPR 2024, released configurations; for SMOID batch=2, which "
        "were two GPUs",
    ),
    Recipe(
        "brve", "release", "charbonnier", steps=15_000, batch=2, crop=64, frames=5, lr=2e-3,
        schedule="one_cycle", transpose=0.5, reverse=0.5, dataset="photo-clips",
        validate_every=1000, source=RELEASE,
    ),
)  # fmt: skip
