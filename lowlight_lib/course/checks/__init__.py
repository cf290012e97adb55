"""The checks behind the exercises: one function for each, called with the student's function.

A check computes the truth, compares, and says one encouraging line; on a wrong answer it raises an
AssertionError whose text is the next thing to think about, not the solution.

One module a notebook; all names here.
"""

from .n00_start_here import black_after_forgetting
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
from .n03_amplifier import (
    bytes_needed,
    collapse,
    fit_m,
    share_that_halves,
    two_gains,
    weight_of,
    your_amplifier,
)
from .n04_pack_unpack import (
    order_matters,
    perceptual,
    receptive_field,
    source_of_row,
    times_cheaper,
    unpack_by_loops,
)
from .n05_scales_and_dense_blocks import (
    best_speedup,
    grouped_cost,
    layers_until_curved,
    order_of_channels,
    separated_by_luck,
    share_of_padding,
)
from .n06_binarized_conv import (
    expected_flips,
    mean_of_bits,
    pixels_seen,
    share_at_border,
    steps_until_flip,
    times_cheaper_with_bits,
)
from .n07_shifts import guess_for, share_covered, share_lost, steps_needed, stream, where_it_goes
from .n08_retinex import cheat, contrast_left, freedoms, halo_width, invisible_light, light_of_half
from .n09_what_it_costs import (
    bytes_of_layer,
    fastest_possible,
    features_kept,
    least_seconds,
    one_by_one_against_three_by_three,
    redi_with_small_kernels,
    share_of_transposed,
)
from .n10_train_test_stills import (
    augment,
    crop_offset,
    gain_of_best_and_worst,
    gains_to_training_camera,
    psnr_of_factor,
    shortcut_with_lamp,
)
from .n11_train_test_video import dirty_window, offset_after_mirror, packed_bytes, two_means
from .n12_train_test_retinex import best_x, draw_two, gamma_for, matched_distance, teachers
from .n13_deploy import (
    bits_in_use,
    errors_together,
    frozen_width,
    psnr_of_bits,
    put_right,
    scale_and_zero,
)
from .n14_scoreboard import beats, choose, error_of_difference, same_race
