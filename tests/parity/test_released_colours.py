"""The released REDI and colours: what it takes for red, and what matching the colours brings."""

import dataclasses

import numpy as np
import torch
from support.mosaics import SONY, restored
from support.networks import reference_network

from lowlight_lib.data.sid import SidDataset
from lowlight_lib.evaluation import metrics
from lowlight_lib.restore import still
from lowlight_lib.sensor import colour, isp
from lowlight_lib.sensor.raw import read_raw


def test_released_weights_leave_no_violet_cast(shared):
    """Nikon D1: what is grey in LibRaw's own picture comes out violet, or grey, lawns green."""
    raw = read_raw(shared / "samples" / "nikon_d1_bggr.nef")
    window = np.s_[400:912, 600:1368]
    raw = dataclasses.replace(raw, mosaic=raw.mosaic[window])
    truth = isp.develop(raw)
    network = reference_network(shared, "redi")
    with_, without = (restored(raw, network, trained_on=t) for t in ("auto", None))
    truth, with_, without = (
        v.reshape(64, 8, 96, 8, 3).mean((1, 3)) for v in (truth, with_, without)
    )
    grey = (np.ptp(truth, axis=2) < 0.03) & (truth.mean(2) > 0.2)
    assert grey.sum() > 100
    violet = [float((v[..., 0] + v[..., 2] - 2 * v[..., 1])[grey].mean()) for v in (with_, without)]
    cast = [np.ptp(v[grey].mean(0)) for v in (with_, without)]
    for left, before in (violet, cast):  # a fifth of what it was, whatever the colour
        assert before > 0.1 and abs(left) < before / 5
    # And no colour in the place of another.
    for k in (0, 2):
        own, theirs = ((v[..., k] - v[..., 1]).ravel() for v in (with_, truth))
        assert np.corrcoef(own, theirs)[0, 1] > 0.6


def test_released_weights_tell_red_from_blue_by_brightness(shared, mini_root):
    """They restore RGGB and GRBG alike, and want the light that they learned in."""
    data = SidDataset(mini_root, "test")
    raw, ratio = data.input(4), data.pairs[4].ratio
    network = reference_network(shared, "redi")

    def picture(gains, left=0):
        x = (raw.normalized() * np.float32(ratio)).copy()
        colour.ColourMatch(gains, None).before(x, raw.cfa)
        x = torch.from_numpy(x[:256, left : left + 384].copy())[None, None]
        with torch.inference_mode():
            return network(x)[0].permute(1, 2, 0).numpy()

    night = np.divide(SONY.white_balance, still.DEFAULT_TRAINING_WHITE_BALANCE)
    target = data.target(4)[:256, :384] / np.float32(65535)
    scores = [metrics.psnr(picture(g), target) for g in ((1, 1, 1), night)]
    assert scores[1] > scores[0] + 3
    shifted = metrics.psnr(picture(night, 1)[:, :-1], picture(night)[:, 1:])
    assert shifted > scores[1] + 3
