"""The checks of notebooks 00 and 01 accept right answers and answer wrong ones with a hint."""

import io

import numpy as np
import rawpy
import torch
from scipy import ndimage
from support.checks import accepts, laws
from torch.nn import functional as F

from lowlight_lib.course.checks import n00_start_here as n00
from lowlight_lib.course.checks import n01_raw_and_bayer as n01
from lowlight_lib.sensor import cfa, colorimetry, isp, noise, raw

CAMERA = noise.SONY_A7S2


def by_blocks(picture, n):
    """Means of blocks, by a library's pooling."""
    x = torch.as_tensor(np.moveaxis(picture, 2, 0).copy())[None]
    return np.moveaxis(F.avg_pool2d(x, n)[0].numpy(), 0, 2)


def by_packing(mosaic, black, white, ratio, gains, *, power=1 / 2.2, order=(0, 1, 2), late=False,
               clip=True, greens=(1, 2)):  # fmt: skip
    r, *g, b = cfa.pack_mosaic((mosaic.astype(float) - black) / (white - black) * ratio)
    light = np.stack([r, np.mean([[r, *g, b][i] for i in greens], 0), b], 2)[..., list(order)]
    light = light if late else light * gains
    light = (np.clip(light, 0, 1) if clip else light) ** power
    return light * gains if late else light


def other(function, **options):
    return lambda *args: function(*args, **options)


def gains(pattern, four):
    four = np.array(four)
    four[3] = four[3] or four[1]
    return four[pattern]


def flat(cell=cfa.RGGB, shape=(24, 24), dn=4000, black=512):
    """A grey frame of the course's camera."""
    levels = black, CAMERA.white_level, CAMERA.white_balance, CAMERA.color_matrix
    return raw.RawImage(np.full(shape, dn, np.uint16), cell, *levels)


def in_libraw(image):
    return rawpy.imread(io.BytesIO(raw.encode_dng(image)))


def pixel_by_pixel(mosaic, cell, white):
    out = np.zeros(mosaic.shape)
    for i, j in np.ndindex(mosaic.shape):
        black = float(cell[i % cell.shape[0], j % cell.shape[1]])
        out[i, j] = max(0.0, (int(mosaic[i, j]) - black) / (white - black))
    return out


def light(mosaic, cell, white, *, below=True, above=False, kind=float):
    x = (mosaic.astype(kind) - cfa.tile(cell, mosaic.shape).astype(kind)) / (white - cell.mean())
    x = x * (white - cell.mean()) / (white - cfa.tile(cell, mosaic.shape))
    x = np.maximum(x, 0) if below else x
    return np.minimum(x, 1) if above else x


def by_cropping(mosaic, name):
    """Repeat the phase's own cell from inside: pad by two lines, then cut one."""
    i, j = divmod(name.index("R"), 2)
    return np.pad(mosaic, ((2, 0), (2, 0)), mode="reflect")[2 - i :, 2 - j :]


def padded(mosaic, name, **how):
    i, j = divmod(name.index("R"), 2)
    return np.pad(mosaic, ((i, 0), (j, 0)), **how)


def by_ndimage(mosaic, colours, *, green=((0, 1, 0), (1, 4, 1), (0, 1, 0)), mode="constant", to=1):
    """Normalised convolution by a library."""
    square = np.outer([1, 2, 1], [1, 2, 1])
    planes = []
    for c, kernel in enumerate((square, np.array(green), square)):
        mask = (colours == c).astype(float)
        over = ndimage.convolve(mask, kernel, mode="constant") if to else 4.0
        planes.append(ndimage.convolve(mosaic * mask, kernel, mode=mode) / over)
    return np.stack(planes, 2)


def measured(mosaic, colours):
    return mosaic[..., None] * (colours[..., None] == np.arange(3))


def nearest(mosaic, colours):
    """Each missing value is the nearest one measured."""
    planes = []
    for c in range(3):
        places = ndimage.distance_transform_edt(colours != c, return_indices=True)[1]
        planes.append(mosaic[tuple(places)])
    return np.stack(planes, 2)


def in_the_library(picture, to_camera, four, colours):
    """The library's undevelop, with a camera made of the parts; white must stay white."""
    rows = to_camera.sum(1)
    if not np.allclose(rows, 1):
        return n01.undevelop(picture, to_camera, four, colours)
    matrix = to_camera @ np.linalg.inv(colorimetry.XYZ_FROM_SRGB)
    camera = _Like(matrix, tuple(four), colours[:2, :2].astype(np.uint8))
    return isp.undevelop(picture, camera)


class _Like:
    def __init__(self, matrix, balance, cell):
        self.color_matrix, self.white_balance, self.cfa = matrix, balance, cell


def undo(picture, to_camera, four, colours, *, curve=colorimetry.bt709_decode, turn=np.asarray,
         less=True, clip=True, times=False, keep=True):  # fmt: skip
    x = curve(picture) @ turn(to_camera).T
    g = np.array(four) / (min(four) if less else 1)
    x = x * g if times else x / g
    x = np.clip(x, 0, 1) if clip else x
    return np.take_along_axis(x, colours[..., None], 2)[..., 0] if keep else x


def bent(y):
    return np.where(y < 0.2, colorimetry.bt709_decode(y), y**2.2)


def half_curve(y):
    return np.maximum((y + 0.099) / 1.099, 0) ** (1 / 0.45)


RIGHT = {
    "black_after_forgetting": lambda black, white, ratio: min(1.0, black * ratio / white),
    "first_picture": by_packing,
    "shrink": by_blocks,
    "gains_of_cell": gains,
    "linearise": pixel_by_pixel,
    "pad_to_rggb": by_cropping,
    "phase_after_both_flips": lambda: "bggr",
    "demosaic": by_ndimage,
    "undevelop": in_the_library,
}
WRONG = [
    ("black_after_forgetting", lambda black, white, ratio: black * ratio / white, "Clip"),
    ("black_after_forgetting", lambda black, white, ratio: 0, "been subtracted"),
    ("black_after_forgetting", lambda black, white, ratio: black / white, "over the white level"),
    ("first_picture", other(by_packing, power=1), "the root is missing"),
    ("first_picture", other(by_packing, power=2.2), "wrong way round"),
    ("first_picture", other(by_packing, power=0.4), "Print each line"),
    ("first_picture", lambda m, b, w, r, g: by_packing(m, b, w + b, r, g), "begins at black"),
    ("first_picture", lambda m, b, w, r, g: by_packing(m, b, w, 1, g), "ratio is missing"),
    ("first_picture", lambda m, b, w, r, g: by_packing(m, 0, w, r, g), "not taken away"),
    ("first_picture", lambda m, b, w, r, g: by_packing(m, b, w, r, g)[0], "make a picture"),
    ("first_picture", other(by_packing, order=(2, 1, 0)), "exchanged"),
    ("first_picture", other(by_packing, greens=(1, 1)), "two greens"),
    ("first_picture", other(by_packing, greens=(0, 3)), "green is another"),
    ("first_picture", other(by_packing, late=True), "before the root"),
    ("first_picture", lambda m, b, w, r, g: by_packing(m, b, w, r, g[::-1]), "its own gain"),
    ("first_picture", lambda *a: np.where((x := by_packing(*a, clip=False)) > 1, 1, x), "negative"),
    ("first_picture", lambda *a: by_packing(*a) + (a[3] == 2), "brighter than white"),
    ("first_picture", lambda *a: by_packing(*a) * (0.9 if a[3] == 2 else 1), "it is off"),
    ("shrink", lambda picture, n: picture, "as many pixels"),
    ("shrink", lambda p, n: p[: len(p) // n * n : n, : p.shape[1] // n * n : n], "one pixel of"),
    ("shrink", lambda p, n: np.repeat(by_blocks(p, n).mean(2, keepdims=True), 3, 2), "mixed"),
    ("shrink", lambda p, n: by_blocks(p, n) * n * n, "Take the mean"),
    ("shrink", lambda p, n: by_blocks(p[::-1], n), "others than"),
    ("gains_of_cell", lambda pattern, four: np.array(four)[pattern], "none is recorded"),
    ("gains_of_cell", lambda p, four: np.array([*four[:3], four[1]])[p], "greens differ"),
    ("gains_of_cell", lambda pattern, four: gains(3 - pattern, four), "place by place"),
    ("linearise", lambda m, cell, white: m / white, "not subtracted"),
    ("linearise", lambda m, cell, white: (m - 512.0) / white, "shorter"),
    ("linearise", other(light, above=True), "stays above 1"),
    ("linearise", lambda m, cell, white: 2 * light(m, cell, white), "over the whole scale"),
    ("linearise", lambda m, cell, w: light(m, cell, w, kind=np.uint16), "floats first"),
    ("linearise", lambda m, cell, w: light(m, np.full((2, 2), cell.mean()), w), "level of its own"),
    ("linearise", lambda m, cell, w: light(m, cell[::-1], w), "Which place"),
    ("linearise", lambda m, cell, w: light(m, cell if m.size % 2 == 0 else cell.T, w), "5 x 7"),
    ("linearise", other(light, below=False), "below black"),
    ("linearise", lambda m, cell, white: m[0], "of shape"),
    ("pad_to_rggb", lambda mosaic, name: mosaic, "where is its R"),
    ("pad_to_rggb", other(padded, mode="constant"), "black line"),
    ("pad_to_rggb", other(padded, mode="edge"), "copy of the edge"),
    ("pad_to_rggb", lambda m, name: np.where(padded(m, name, mode="constant") == 0,
                                             padded(m, name, mode="wrap"),
                                             padded(m, name, mode="reflect")), "nearer pixels"),
    ("phase_after_both_flips", lambda: "RGGB", "cancel nothing"),
    ("phase_after_both_flips", lambda: "GRBG", "one flip alone"),
    ("phase_after_both_flips", lambda: "RGB", "as in RGGB"),
    ("demosaic", lambda m, c: m, "of shape"),
    ("demosaic", lambda m, c: 0.9 * by_ndimage(m, c), "must stay what it is"),
    ("demosaic", other(by_ndimage, green=((1, 2, 1), (2, 4, 2), (1, 2, 1))), "green diagonals"),
    ("demosaic", measured, "has holes"),
    ("demosaic", lambda m, c: np.where(measured(m, c) > 0, m[..., None], 0.5 * by_ndimage(m, c)),
     "by the weights"),
    ("demosaic", nearest, "mean of the nearest"),
    ("demosaic", other(by_ndimage, mode="mirror", to=0), "the border is another"),
    ("demosaic", lambda m, c: np.where(np.pad(np.ones((6, 8)), 1)[..., None] + measured(m, c) > 0,
                                       by_ndimage(m, c), np.nan), "divided by 0"),
    ("undevelop", lambda p, m, g, c: p[0], "Return"),
    ("undevelop", other(undo, curve=np.asarray), "still on"),
    ("undevelop", other(undo, curve=colorimetry.bt709_encode), "once more"),
    ("undevelop", other(undo, curve=half_curve), "near black"),
    ("undevelop", other(undo, curve=bent), "curved piece"),
    ("undevelop", other(undo, turn=lambda m: np.eye(3)), "not applied yet"),
    ("undevelop", other(undo, turn=np.transpose), "turned round"),
    ("undevelop", other(undo, turn=np.linalg.inv), "turned round"),
    ("undevelop", other(undo, turn=lambda m: m @ m), "by the matrix"),
    ("undevelop", other(undo, times=True), "too bright"),
    ("undevelop", lambda p, m, g, c: undo(p, m, (1.0, 1.0, 1.0) if g[0] < 2 else (1.4, 1, 2.6), c),
     "One gain for each|too bright"),
    ("undevelop", other(undo, less=False), "mean the same"),
    ("undevelop", other(undo, clip=False), "Cut them"),
    ("undevelop", other(undo, keep=False), "one filter"),
]  # fmt: skip
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)


def test_filters_are_numbered_as_libraw_does():
    seen = []
    accepts("gains_of_cell", lambda pattern, four: seen.append(pattern) or gains(pattern, four))
    for cell, pattern in zip(cfa.BAYER.values(), seen[::3], strict=True):
        with in_libraw(flat(cell)) as file:
            np.testing.assert_array_equal(file.raw_pattern, pattern)


def test_a_converter_and_its_inverse_are_each_other_s():
    grey = np.full((24, 24, 3), 0.4)
    parts = colorimetry.camera_from_srgb(CAMERA.color_matrix), CAMERA.white_balance
    mosaic = n01.undevelop(grey, *parts, cfa.tile(cfa.RGGB, (24, 24)))
    dn = np.rint(512 + mosaic * (CAMERA.white_level - 512)).astype(np.uint16)
    seen = n00.first_picture(dn, 512, CAMERA.white_level, 1, parts[1])
    assert np.ptp(seen, axis=2).max() < 0.01  # a grey picture comes back grey
