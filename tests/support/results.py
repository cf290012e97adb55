"""What a row of results.json promises."""

import json
import math

FIELDS = {
    "model", "dataset", "split", "profile", "checkpoint", "images", "psnr", "ssim",
    "baseline_psnr", "baseline_ssim", "amplification", "protocol", "seconds_train",
    "seconds_per_image", "torch", "commit",
}  # fmt: skip


def rows_of(folder, *models):
    """Of the whole test split; notebooks also score single variants."""
    rows = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return [r for r in rows if r["model"] in models]


def check_stills(rows, model, images):
    """The rows that notebook 11 leaves of a network."""
    assert [(r["model"], r["amplification"]) for r in rows] == [(model, "ratio"), (model, "auto")]
    for r in rows:
        assert set(r) >= FIELDS
        assert (r["dataset"], r["split"], r["profile"]) == ("sid", "test", "smoke")
        assert (r["images"], r["protocol"]) == (images, "default")
        # Twelve steps restore nothing; but a score is a number, and a baseline a real one:
        for k in ("psnr", "ssim", "baseline_psnr", "baseline_ssim"):
            assert math.isfinite(r[k])
        assert 5 < r["psnr"] < 40
        assert r["seconds_train"] > 0
    assert 10 < rows[0]["baseline_psnr"] < 25
