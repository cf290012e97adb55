"""The checks of notebook 12 accept right answers and answer wrong ones with a hint."""

import numpy as np
from support.checks import laws

from lowlight_lib.sensor.cfa import pack_mosaic


def means(rows):
    groups = {}
    for r in rows:
        groups.setdefault(r["group"], []).append(r["psnr"])
    return np.mean([r["psnr"] for r in rows]), np.mean([np.mean(g) for g in groups.values()])


def mirrored(offset):
    planes = pack_mosaic(np.tile(np.arange(12.0), (2, 1)))  # each pixel holds its column
    planes[1] = planes[0] + offset
    planes = 11 - planes[..., ::-1]  # in the mirrored scene column c is column 11 - c
    return (planes[1] - planes[0]).mean()


RIGHT = {
    "offset_after_mirror": mirrored,
    "two_means": means,
    "dirty_window": lambda clip, noise: clip + noise[:1],
    "packed_bytes": lambda b, r, c: (b / 8, 4 * r, 4 * c),
}
WRONG = [
    ("offset_after_mirror", lambda offset: offset, "Follow one R"),
    ("offset_after_mirror", lambda offset: 0, "distance"),
    ("two_means", lambda rows: means(rows)[::-1], "other way round"),
    ("two_means", lambda rows: (means(rows)[0],) * 2, "over clips again"),
    ("two_means", lambda rows: (0, 0), "first the mean"),
    ("dirty_window", lambda clip, noise: clip + noise, "same spots"),
    ("dirty_window", lambda clip, noise: clip + noise * np.arange(6)[:, None, None], "changes"),
    ("dirty_window", lambda clip, noise: clip + noise[1:2], "first frame, as it is"),
    ("packed_bytes", lambda b, r, c: (b, r, c), "eight bits"),
    ("packed_bytes", lambda b, r, c: (b / 4, r, c), "are not"),
    ("packed_bytes", lambda b, r, c: (b / 8, r / 8, c / 8), "four bytes"),
    ("packed_bytes", lambda b, r, c: (b / 8, 4 * r, c), "four bytes"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)
