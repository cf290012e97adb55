"""What a row of results.json promises."""

FIELDS = {
    "model", "dataset", "split", "profile", "checkpoint", "images", "psnr", "ssim",
    "baseline_psnr", "baseline_ssim", "amplification", "protocol", "seconds_train",
    "seconds_per_image", "torch", "commit",
}  # fmt: skip
