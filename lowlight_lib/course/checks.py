"""The checks behind the exercises: one function for each, called with the student's function.

A check computes the truth, compares, and says one encouraging line; on a wrong answer it raises an
AssertionError whose text is the next thing to think about, not the solution.
"""

from __future__ import annotations

import dataclasses
import io

import numpy as np

from ..sensor import cfa, isp, noise, raw


def _answer(function, *args):
    """What the student's function returns; nothing at all is the commonest slip."""
    answer = function(*args)
    assert answer is not None, "Your function returned None: is there a `return` in it?"
    return answer


# ---------------------------------------------------------------------------------------------
# notebook 01


def gains_of_cell(function) -> None:
    """Exercise 01/1.1: function(pattern, gains) -> (2, 2) white-balance gains, one a filter."""
    import rawpy

    for name, cell in cfa.BAYER.items():
        image = _flat_raw(cell)
        with rawpy.imread(io.BytesIO(raw.encode_dng(image))) as file:
            pattern, gains = np.array(file.raw_pattern), list(file.camera_whitebalance)
        truth = np.asarray(image.white_balance)[cell]
        for p in (pattern, cell):  # the second green as colour 3, and as colour 1
            answer = np.asarray(function(p, list(gains)), float)
            assert answer.shape == (2, 2), (
                f"Return one gain for each place of the 2x2 cell; yours has shape {answer.shape}."
            )
            assert (answer > 0).all(), (
                f"With the pattern {p.tolist()} one of your gains is 0: half of the green pixels "
                "would turn black. A zero here means 'not recorded', not 'no light'."
            )
            assert np.allclose(answer, truth, atol=1e-3), (
                f"For {name}, numbered {p.tolist()}, you gave {answer.round(3).tolist()}. Read the "
                "pattern place by place: 0 is red, 2 is blue, and 1 and 3 are both green."
            )
    print("Right, for all four Bayer orders and both ways to number the greens.")


def shape_of_picture(function) -> None:
    """Exercise 01/1.2: function(mosaic_shape, orientation) -> (height, width) that LibRaw gives."""
    import rawpy

    for orientation in (1, 3, 6, 8):
        image = dataclasses.replace(_flat_raw(cfa.RGGB, (24, 36)), orientation=orientation)
        with rawpy.imread(io.BytesIO(raw.encode_dng(image))) as file:
            truth = file.postprocess().shape[:2]
        answer = tuple(int(n) for n in function(image.mosaic.shape, orientation))
        assert answer == truth, (
            f"A mosaic of {image.mosaic.shape} with orientation {orientation} does not become "
            f"{answer}. Which of the four values mean that the camera stood on its side?"
        )
    print("Right: two of the four orientations exchange height and width.")


def value_of_black(function) -> None:
    """Exercise 01/2.1: function(true_black, used_black, white, ratio) -> amplified signal."""
    for true, used in ((512, 512), (512, 500), (512, 524)):
        image = dataclasses.replace(
            _flat_raw(cfa.RGGB), mosaic=np.full((24, 24), true, np.uint16), black_level=used
        )
        truth = float(image.normalized().max()) * 100
        answer = float(function(true, used, image.white_level, 100))
        if used > true and answer < 0:
            raise AssertionError(
                f"You gave {answer:.3f}. That is the honest difference, but both published raw "
                "systems, and normalized(), clip below black: nothing there is negative."
            )
        assert np.isclose(answer, truth, atol=1e-4), (
            f"True black {true}, used {used}: it is not {answer:.4f}. Put the number that the "
            "pixel holds (true black) into the formula with the level you believe in (used "
            "black), in the numerator and in the denominator, and amplify last."
        )
    print("Right: a few DN that nobody sees in daylight are a grey veil at ratio 100.")


def rows_and_columns_to_rggb(function) -> None:
    """Exercise 01/3.1: function(name) -> (rows, columns) to add at top and left."""
    for name, cell in cfa.BAYER.items():
        image = _flat_raw(cell)
        truth = cfa.to_rggb(image)[1]
        answer = tuple(int(n) for n in function(name))
        assert answer == truth, (
            f"For {name} you add {answer} (rows, columns). Write down its 2x2 cell, put the new "
            "line in front, and read the four letters again: is the first one R?"
        )
    print("Right for all four orders.")


def sid_planes(function) -> None:
    """Exercise 01/3.2: function(packed) reorders planes by position to R, G1, B, G2."""
    mosaic = np.random.default_rng(0).random((4, 6))
    truth = np.stack([mosaic[r::2, c::2] for r, c in ((0, 0), (0, 1), (1, 1), (1, 0))])
    answer = np.asarray(function(cfa.pack_mosaic(mosaic)))
    assert answer.shape == truth.shape, f"Four planes in, four out; yours has {answer.shape}."
    assert np.array_equal(np.sort(answer, 0), np.sort(truth, 0)), (
        "Every plane has to come back once, its pixels untouched: only the order changes."
    )
    assert np.array_equal(answer, truth), (
        "Not yet: walk around the cell clockwise from red, that is the order of the 2018 code."
    )
    print("Right: the same numbers, and a network that expects the other order would not complain.")


def phase_after_both_flips(function) -> None:
    """Exercise 01/4.1: function() -> the Bayer order that RGGB shows after both plain flips."""
    truth = cfa.name(cfa.tile(cfa.RGGB, (4, 4))[::-1, ::-1][:2, :2])
    answer = str(function()).upper()
    assert answer in cfa.BAYER, f"{answer} is no Bayer order; choose from {', '.join(cfa.BAYER)}."
    assert answer != "RGGB", (
        "You said RGGB. Two mirrors of a picture cancel nothing here: follow the red pixel of the "
        "first 2x2 cell through each flip."
    )
    assert answer == truth, (
        f"You said {answer}, which is where one flip alone leads. The second one moves the phase "
        "along the other axis as well."
    )
    print(f"Right: {truth}. The greens are back in their places, red and blue have changed seats.")


def share_of_invented_numbers(function) -> None:
    """Exercise 01/5.1: function() -> share of a picture's numbers that no pixel measured."""
    image = _flat_raw(cfa.RGGB)
    truth = 1 - image.mosaic.size / isp.develop(image).size
    answer = float(function())
    assert not np.isclose(answer, 1 - truth, atol=0.01), (
        "That is the share that was measured; the question asks for the rest."
    )
    assert np.isclose(answer, truth, atol=0.01), (
        f"You said {answer:.2f}. Count for one pixel: how many numbers does the picture hold "
        "there, and how many did the sensor record?"
    )
    print(f"Right: {truth:.0%} of the numbers in a picture were never measured.")


def srgb_encode(function) -> None:
    """Exercise 01/5.2: function(x) -> the sRGB curve (IEC 61966-2-1) of linear light in [0, 1]."""
    x = np.linspace(0, 1, 1001)
    power = 1.055 * x ** (1 / 2.4) - 0.055
    truth = np.where(x <= 0.0031308, 12.92 * x, power)
    answer = np.asarray(function(x), float)
    assert answer.shape == x.shape, f"One value out for each one in; yours has {answer.shape}."
    assert not np.allclose(answer, isp.bt709_encode(x), atol=1e-4), (
        "This is the BT.709 curve again. sRGB shares its primaries, not its curve."
    )
    assert not np.allclose(answer, power, atol=1e-4), (
        "The power law is right, but near black the standard goes on as a straight line: without "
        "it, 0 becomes a negative number."
    )
    wrong = np.abs(answer - truth) > 1e-4
    assert not wrong.any(), (
        f"At x = {x[wrong][0]:.3f} you give {answer[wrong][0]:.4f}, the standard "
        f"{truth[wrong][0]:.4f}. Check the two pieces and the place where they meet."
    )
    print("Right: straight near black, a power law above.")


def _flat_raw(cell, shape=(24, 24)):
    """A grey frame of the course's camera, in any Bayer order."""
    camera = noise.SONY_A7S2
    return raw.RawImage(
        mosaic=np.full(shape, 4000, np.uint16),
        cfa=cell,
        black_level=camera.black_level,
        white_level=camera.white_level,
        white_balance=camera.white_balance,
        color_matrix=camera.color_matrix,
    )


# ---------------------------------------------------------------------------------------------
# notebook 02


def snr_after_multiplying(function) -> None:
    """Exercise 02/1.1: function(snr, ratio) -> SNR after 1/ratio of the light, multiplied back."""
    rng = np.random.default_rng(0)
    for snr, ratio in ((100, 300), (100, 1), (40, 16)):
        counts = rng.poisson(snr**2 / ratio, 500_000) * ratio
        truth = counts.mean() / counts.std()
        answer = float(function(snr, ratio))
        wrong = f"snr={snr}, ratio={ratio}: you said {answer:.3g}, drawn photons say {truth:.3g}."
        assert ratio == 1 or not _near(answer, snr), (
            f"{wrong} Multiplying brings the brightness back, not the photons: it stretches the "
            "noise by the same factor as the signal."
        )
        assert ratio == 1 or not _near(answer, snr / ratio), (
            f"{wrong} The signal did fall by the ratio, but its noise fell too: it is the square "
            "root of what is left."
        )
        assert _near(answer, truth), f"{wrong} How many electrons make that SNR? How many are left?"
    print("Right: the multiplication changes nothing. The shutter did it, by a square root.")


def variance_of_a_burnt_flat(function) -> None:
    """Exercise 02/2.1: function() -> variance in DN² of a flat with twice the light of white."""
    camera = noise.SONY_A7S2
    flat = noise.expose(np.ones((256, 256)), 0.5, camera, iso=1600, rng=0)
    line = noise.noise_levels(camera, 1600).moments(2 * (camera.white_level - camera.black_level))
    answer = float(function())
    hint = " That is what the straight line says." if _near(answer, line[1], 0.1) else ""
    assert abs(answer - flat.var()) < 0.5, (
        f"You said {answer:.4g} DN², the camera says otherwise.{hint} No pixel can hold more than "
        f"{flat.max()} DN, and here every one would like to: follow a few of them to the clip."
    )
    print("Right: the cleanest flat says nothing. Calibrations leave the top of the scale out.")


def row_noise_left(function) -> None:
    """Exercise 02/3.1: function() -> shares of row noise left by four frames, by four columns."""
    levels = noise.NoiseLevels(gain=1.0, read=0.0, row=50.0, shape=None)  # row noise and no other
    rng = np.random.default_rng(0)
    frames = [noise.expose(np.zeros((8192, 4)), 1, rng=rng, levels=levels) for _ in range(4)]
    before = frames[0][:, 0].std()
    answer = tuple(function())
    assert len(answer) == 2, "Return two numbers: what four frames leave, and what four columns do."
    for said, after, how, why in (
        (answer[0], np.mean(frames, 0)[:, 0], "frames", "Every frame draws its rows anew: four "
         "independent draws. How much does the mean of four dice vary?"),
        (answer[1], frames[0].mean(1), "columns", "Neighbours in a row share one draw. What is "
         "the mean of four equal numbers?"),
    ):  # fmt: skip
        assert _near(float(said), after.std() / before, 0.05), (
            f"Averaging four {how} does not leave {float(said):.3g} of the row noise. {why}"
        )
    print("Right: time averages row noise away, width does not. It hangs there like a curtain.")


def crossover_electrons(function) -> None:
    """Exercise 02/4.1: function(floor) -> the signal where photon noise equals that floor."""
    for floor in (2.0, 3.0, 10.0):
        answer = float(function(floor))
        assert answer > 0, f"You said {answer:.3g} electrons. Light comes in positive numbers."
        levels = noise.NoiseLevels(gain=4.0, read=4.0 * floor, row=0.0, shape=None)
        scene = np.full((512, 512), answer * levels.gain / (16383 - 512))
        dark = noise.expose(0 * scene, 1, rng=0, levels=levels).var()
        photons = noise.expose(scene, 1, rng=1, levels=levels).var() - dark
        hint = " Compare variances, not standard deviations." if answer == floor else ""
        assert _near(photons, dark, 0.1), (
            f"Floor {floor:g}: at the {answer:.3g} electrons that you said, photons bring "
            f"{photons / dark:.2f} times the variance of the floor.{hint} The variance of a photon "
            "count is the count."
        )
    print("Right: a floor of 3 electrons rules up to 9. The square is why read noise matters.")


def black_after_clip(function) -> None:
    """Exercise 02/5.1: function(sigma) -> mean of a clipped black frame, all in electrons."""
    for sigma in (2.0, 3.0, 8.0):
        levels = noise.NoiseLevels(gain=8.0, read=8.0 * sigma, row=0.0, shape=None)
        dark = noise.expose(np.zeros((1024, 1024)), 1, rng=0, levels=levels)
        truth = np.maximum(dark.astype(float) - 512, 0).mean() / levels.gain
        answer = float(function(sigma))
        wrong = f"sigma={sigma:g}: you said {answer:.3g} electrons, a clipped frame {truth:.3g}."
        assert abs(answer) > 0.02 * sigma, (
            f"{wrong} Symmetric noise averages to zero only while both halves are there, and the "
            "clip throws one of them away."
        )
        assert not _near(answer, 2 * truth), (
            f"{wrong} That is the mean of |noise|. The clip does not mirror the lower half, it "
            "sets it to 0."
        )
        assert _near(answer, truth), (
            f"{wrong} Integrate x times the Gaussian density from 0 upwards: it has a closed form."
        )
    print("Right: two fifths of sigma, out of nothing. It looks like light.")


def halve_light_double_iso(function) -> None:
    """Exercise 02/5.2: function() -> factors on the brightness and the SNR of a bright grey."""
    grey = np.full((512, 512), 0.5)
    frames = [noise.expose(grey, 1, iso=iso, rng=0).astype(float) - 512 for iso in (400, 800)]
    (mean, snr), (new_mean, new_snr) = [(f.mean(), f.mean() / f.std()) for f in frames]
    answer = tuple(function())
    assert len(answer) == 2, "Return two numbers: the factor on brightness, the one on SNR."
    assert _near(float(answer[0]), new_mean / mean), (
        f"The brightness in DN does not change by {float(answer[0]):.3g}. Half the electrons, and "
        "each of them is worth twice as many DN."
    )
    assert _near(float(answer[1]), new_snr / snr), (
        f"The SNR does not change by {float(answer[1]):.3g}. The DN look the same; now count the "
        "electrons behind them."
    )
    print("Right: as bright, and noisier. A higher ISO does not bring photons back.")


def _near(a, b, relative=0.02):
    return abs(a - b) <= relative * max(abs(b), 1e-9)


# ---------------------------------------------------------------------------------------------
# notebook 10


def crop_offset(function) -> None:
    """Exercise 10.1: function(rng, size, crop) -> offset of a training crop on RGGB."""
    size, crop = 64, 32
    colours = cfa.tile(cfa.RGGB, (size, size))
    drawn = set()
    for seed in range(300):
        top = float(_answer(function, np.random.default_rng(seed), size, crop))
        inside = top == int(top) and 0 <= top <= size - crop
        assert inside, f"An offset of {top} puts a crop of {crop} outside a side of {size}."
        assert colours[int(top), 0] == cfa.RGGB[0, 0], (
            f"Your offset {top} starts on a {'RGB'[colours[int(top), 0]]} line: its first pixel is "
            "not red, so that the network would file greens under red in this crop only."
        )
        drawn.add(int(top))
    assert len(drawn) > 1, (
        f"You always return {drawn.pop()}: a crop has to be somewhere else each time."
    )
    assert size - crop in drawn, (
        "The last possible crop is never drawn: the bottom of every training image goes unseen. "
        "Does rng.integers include its upper end?"
    )
    assert 0 in drawn and len(drawn) == (size - crop) // 2 + 1, (
        f"Only {len(drawn)} different offsets in 300 draws; every one with red first should come."
    )
    print("Right: every crop starts on red, and none is left out.")


def gain_of_best_and_worst(function, per_image) -> None:
    """Exercise 10.2: function(per_image) -> gains in dB at the best and the worst baseline."""
    best = max(per_image, key=lambda r: r["baseline_psnr"])
    worst = min(per_image, key=lambda r: r["baseline_psnr"])
    truth = [r["psnr"] - r["baseline_psnr"] for r in (best, worst)]
    answer = np.asarray(_answer(function, per_image), float)
    assert answer.shape == (2,), "Return two numbers: (gain at the best baseline, at the worst)."
    assert not np.allclose(answer, truth[::-1], atol=1e-3) or np.allclose(*truth), (
        "You have both, the other way round: first where the baseline is best."
    )
    assert np.allclose(answer, truth, atol=1e-3), (
        f"You gave {answer.round(2).tolist()}. A gain is psnr - baseline_psnr of one image; "
        "pick the images by their baseline_psnr alone."
    )
    print(f"Right: {truth[0]:+.1f} dB where the baseline is best, {truth[1]:+.1f} dB at its worst.")
    if truth[1] > truth[0]:
        print("There was more to win where the baseline is worse; a mean over images hides that.")


def psnr_of_factor(function) -> None:
    """Exercise 10.3: function(picture, factor) -> PSNR in dB of a wrongly amplified picture."""
    for seed, factor in ((1, 2.0), (2, 0.5), (0, 1.1)):
        picture = np.random.default_rng(seed).random((32, 32, 3))
        wrong = np.clip(factor * picture, 0, 1)
        truth = -10 * np.log10(np.mean((wrong - picture) ** 2))
        answer = float(_answer(function, picture, factor))
        unclipped = -10 * np.log10(np.mean((factor * picture - picture) ** 2))
        if factor > 1 and np.isclose(answer, unclipped, atol=1e-2):
            raise AssertionError(
                "You count values above 1. A display cannot show them: clip, then compare."
            )
        slips = {-1: "the minus sign", 2: "10 log10, not 20", np.log(10): "log10, not ln"}
        for times, hint in slips.items():
            assert not np.isclose(answer, times * truth, atol=1e-2), f"Nearly: {hint}."
        assert np.isclose(answer, truth, atol=1e-2), (
            f"For a factor of {factor} you gave {answer:.2f} dB. The peak is 1, the error is the "
            "clipped picture minus the picture, and the mean is over all its elements."
        )
    print(
        f"Right: ten per cent too bright leaves {truth:.1f} dB on random pixels. Did you guess it?"
    )


# ---------------------------------------------------------------------------------------------
# notebook 00


def black_after_forgetting(function) -> None:
    """Exercise 00/0.1: function(black, white, ratio) -> a lightless pixel without subtraction."""
    for black, white, ratio in ((512, 16383, 100), (64, 1023, 10), (100, 16383, 2)):
        image = _flat_raw(cfa.RGGB)
        stored = np.full_like(image.mosaic, black)
        truth = float(np.clip(stored.astype(float) * ratio / white, None, 1).max())
        answer = float(_answer(function, black, white, ratio))
        assert answer <= 1, f"{answer:.2f}: right so far, but nothing is brighter than white. Clip."
        if ratio == 100 and answer == 0:
            raise AssertionError(
                "You said 0. It would be 0 had the black level been subtracted; it was not, and "
                "what was stored for no light is multiplied like everything else."
            )
        assert np.isclose(answer, truth, atol=1e-6), (
            f"A camera with black {black}, white {white}, at ratio {ratio}: it is not "
            f"{answer:.4f}. Stored number times ratio, over the white level."
        )
    print("Right: at ratio 100 the darkest black there is comes out pure white.")
