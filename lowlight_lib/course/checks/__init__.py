"""The checks behind the exercises: one function for each, called with the student's function.

A check computes the truth, compares, and says one encouraging line; on a wrong answer it raises an
AssertionError whose text is the next thing to think about, not the solution.

One module a notebook; all names here.
"""

from .n00_start_here import (
    black_after_forgetting,
)
from .n01_raw_and_bayer import (
    gains_of_cell,
    phase_after_both_flips,
    rows_and_columns_to_rggb,
    shape_of_picture,
    share_of_invented_numbers,
    sid_planes,
    srgb_encode,
    value_of_black,
)
from .n02_noise_and_darkness import (
    black_after_clip,
    crossover_electrons,
    halve_light_double_iso,
    row_noise_left,
    snr_after_multiplying,
    variance_of_a_burnt_flat,
)
from .n10_train_test_stills import (
    crop_offset,
    gain_of_best_and_worst,
    psnr_of_factor,
)
