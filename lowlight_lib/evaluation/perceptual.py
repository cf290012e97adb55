"""LPIPS and FID of the pictures that a test has written, on request: with the extra `perceptual`
and, the first time, the net, for the weights of the networks whose features are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..errors import OptionError
from ..io.pictures import read_photo


def find_metrics():
    """torchmetrics' (LPIPS, FID) classes; OptionError where a package lacks or does not fit."""
    try:
        import torch_fidelity  # pyright: ignore[reportMissingImports]  # noqa: F401  (the network of FID)
        import torchvision  # pyright: ignore[reportMissingImports]  # noqa: F401  (the network of LPIPS)
    except (ImportError, OSError, RuntimeError) as e:  # a build for another torch ends in the last
        what = f"LPIPS and FID need torchvision and torch-fidelity ({e})"
        raise OptionError(what, todo='pip install "lowlight-lab[perceptual]" for your torch') from e
    from torchmetrics.image import fid, lpip

    return lpip.LearnedPerceptualImagePatchSimilarity, fid.FrechetInceptionDistance


def score_folder(folder, names, result="result", baseline="input", metrics=None) -> dict:
    """Mean "lpips" (AlexNet) and "fid" of the pictures NAME_{result}.png that a test wrote, beside
    NAME_target.png, and "baseline_lpips" and "baseline_fid" of NAME_{baseline}.png.

    0 is equal, lower is better. FID of fewer than some thousand pictures is far from its limit.
    Source: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
    CVPR 2018; Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", NIPS 2017.
    """
    lpips_class, fid_class = metrics or find_metrics()
    if len(names) < 2:  # FID estimates a covariance
        raise OptionError(f"FID needs at least 2 pictures, here are {len(names)}", todo="test more")
    folder, found = Path(folder), {}
    for of, view in (("", result), ("baseline_", baseline)):
        try:
            lpips = lpips_class(net_type="alex", normalize=True)
            fid = fid_class(feature=2048, normalize=True)
        except OSError as e:  # urllib's errors are of this kind
            what = f"the networks of LPIPS and FID could not be fetched ({e})"
            raise OptionError(what, todo="connect to the net once; they are kept then") from e
        for name in names:
            ours, target = (_tensor(folder / f"{name}_{v}.png") for v in (view, "target"))
            with torch.inference_mode():
                lpips.update(ours, target)
                fid.update(ours, real=False)
                fid.update(target, real=True)
        found |= {f"{of}lpips": float(lpips.compute()), f"{of}fid": float(fid.compute())}
    return found


def _tensor(path):
    return torch.from_numpy(np.ascontiguousarray(read_photo(path).transpose(2, 0, 1)))[None]
