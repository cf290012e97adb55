"""The checks of notebooks 00 to 02 accept right answers and answer wrong ones with a hint."""

import math

import numpy as np
from support.checks import laws

from lowlight_lib.sensor import colorimetry


def gains(pattern, four):
    four = np.array(four)
    four[3] = four[3] or four[1]
    return four[pattern]


def srgb(x):
    return np.where(x <= 0.0031308, 12.92 * x, power(x))


def power(x):
    return 1.055 * np.maximum(x, 0) ** (1 / 2.4) - 0.055


RIGHT = {
    "black_after_forgetting": (lambda black, white, ratio: min(1.0, black * ratio / white),),
    "gains_of_cell": (gains,),
    "shape_of_picture": (lambda shape, o: shape[::-1] if o in (6, 8) else shape,),
    "value_of_black": (lambda true, used, white, r: max(true - used, 0) / (white - used) * r,),
    "rows_and_columns_to_rggb": (lambda name: divmod(name.index("R"), 2),),
    "sid_planes": (lambda packed: packed[[0, 1, 3, 2]],),
    "phase_after_both_flips": (lambda: "bggr",),
    "share_of_invented_numbers": (lambda: 2 / 3,),
    "srgb_encode": (srgb,),
    "snr_after_multiplying": (lambda snr, ratio: snr / ratio**0.5,),
    "variance_of_a_burnt_flat": (lambda: 0,),
    "row_noise_left": (lambda: (0.5, 1.0),),
    "crossover_electrons": (lambda floor: floor**2,),
    "black_after_clip": (lambda sigma: sigma / math.sqrt(2 * math.pi),),
    "halve_light_double_iso": (lambda: (1.0, 0.5**0.5),),
}
WRONG = [
    ("black_after_forgetting", lambda black, white, ratio: black * ratio / white, "Clip"),
    ("black_after_forgetting", lambda black, white, ratio: 0, "been subtracted"),
    ("black_after_forgetting", lambda black, white, ratio: black / white, "over the white level"),
    ("gains_of_cell", lambda pattern, four: np.array(four)[pattern], "none is recorded"),
    ("gains_of_cell", lambda p, four: np.array([*four[:3], four[1]])[p], "greens differ"),
    ("gains_of_cell", lambda pattern, four: gains(3 - pattern, four), "place by place"),
    ("shape_of_picture", lambda shape, orientation: shape, "on its side"),
    ("value_of_black", lambda t, used, w, r: (t - used) / (w - used) * r, "clip below black"),
    ("value_of_black", lambda true, used, white, r: 0.0, "amplify last"),
    ("rows_and_columns_to_rggb", lambda name: (1, 1), "is the first one R"),
    ("sid_planes", lambda packed: packed, "clockwise"),
    ("sid_planes", lambda packed: packed[[0, 1, 3, 3]], "only the order changes"),
    ("phase_after_both_flips", lambda: "RGGB", "cancel nothing"),
    ("phase_after_both_flips", lambda: "GRBG", "one flip alone"),
    ("phase_after_both_flips", lambda: "RGB", "Choose from"),
    ("share_of_invented_numbers", lambda: 1 / 3, "asks for the rest"),
    ("share_of_invented_numbers", lambda: 0.5, "Count for one pixel"),
    ("srgb_encode", colorimetry.bt709_encode, "BT.709"),
    ("srgb_encode", power, "straight line"),
    ("srgb_encode", np.sqrt, "At x = 0.001"),
    ("snr_after_multiplying", lambda snr, ratio: snr, "not the photons"),
    ("snr_after_multiplying", lambda snr, ratio: snr / ratio, "its noise fell too"),
    ("snr_after_multiplying", lambda snr, ratio: 1.0, "How many electrons"),
    ("variance_of_a_burnt_flat", lambda: 1e6, "follow a few of them to the clip"),
    ("row_noise_left", lambda: (0.5, 0.5), "share one draw"),
    ("row_noise_left", lambda: (1.0, 1.0), "four dice"),
    ("crossover_electrons", lambda floor: floor, "Compare variances"),
    ("crossover_electrons", lambda floor: -1, "positive"),
    ("crossover_electrons", lambda floor: 2 * floor**2, "is the count"),
    ("black_after_clip", lambda sigma: 0, "throws one of them away"),
    ("black_after_clip", lambda sigma: 2 * sigma / math.sqrt(2 * math.pi), "does not mirror"),
    ("black_after_clip", lambda sigma: sigma, "closed form"),
    ("halve_light_double_iso", lambda: (0.5, 0.5**0.5), "worth twice as many"),
    ("halve_light_double_iso", lambda: (1.0, 1.0), "behind them"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)
