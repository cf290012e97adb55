"""Mosaics of one colour, through any filters and of any camera, and networks to look at them."""

import dataclasses

import numpy as np
import torch

from lowlight_lib import models
from lowlight_lib.restore import restore
from lowlight_lib.sensor import cameras, cfa, colorimetry, isp
from lowlight_lib.sensor.raw import RawImage
from support.networks import demosaic

PHASES = [np.roll(cfa.XTRANS, s, (0, 1)) for s in np.ndindex(6, 6)]
SONY = cameras.SONY_A7S2
OTHERS = [camera for key, camera in cameras.CAMERAS.items() if key != "sony_a7s2"]
COLOURS = [(0.5, 0.5, 0.5), (0.6, 0.4, 0.3), (0.35, 0.5, 0.6), (0.4, 0.55, 0.35)]


def flat(rgb, cell, shape, black=512, white=1512, **fields):
    """A mosaic of one colour, rgb in [0, 1] as the filters see it."""
    span = white - cfa.tile(np.broadcast_to(black, cell.shape), shape)
    dn = np.asarray(rgb)[cfa.tile(cell, shape)] * span + (white - span)
    return RawImage(np.rint(dn).astype(np.uint16), cell, black, white, **fields)


def of_colour(camera, rgb, shape=(24, 30), **fields):
    """What a camera records of one colour, rgb as it shall be seen."""
    light = isp.undevelop(np.full((*shape, 3), rgb, np.float32), camera)
    dn = np.rint(camera.black_level + light * (camera.white_level - camera.black_level))
    known = {"white_balance": camera.white_balance, "color_matrix": camera.color_matrix,
             "model": camera.model}  # fmt: skip
    return RawImage(
        dn.astype(np.uint16), camera.cfa, camera.black_level, camera.white_level, **known | fields
    )


def ideal(camera, **says):
    """A network that has learned one camera's colours perfectly: white balance, matrix, curve."""
    to_srgb = np.linalg.inv(colorimetry.camera_from_srgb(camera.color_matrix))
    turn = (to_srgb @ np.diag(camera.white_balance)).T.astype(np.float32)

    def network(x):
        rgb = demosaic(x)[0].permute(1, 2, 0).numpy()
        picture = colorimetry.bt709_encode(rgb @ turn)
        return torch.from_numpy(picture).permute(2, 0, 1)[None]

    return knowing(network, **{"trained_on": camera.model} | says)  # in daylight


def knowing(network, key="redi", **says):
    """A callable as a network of a system, whose spec says this of its training."""
    return models.with_spec(network, dataclasses.replace(models.SYSTEMS[key].spec, **says))


def restored(raw, network, amplification=1.0, **options):
    """The picture that `restore` makes; a callable without a spec counts as a network for Bayer."""
    network = models.with_spec(network, "redi")
    return restore(raw, network, amplification=amplification, **options).image
