"""A fixed part of the validation split, scored while a network trains."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ..data import find, open_dataset
from ..errors import OptionError

CROPS = 16


class Validation:
    """One crop, not turned, of each of some items of the validation split: the same at every step.
    OptionError for a data set without that split, and for a recipe that trains on it."""

    def __init__(self, recipe, data_root, progress, **options):
        if "val" not in find(recipe.key, recipe.dataset).splits or "val" in recipe.split:
            what = f"{recipe.dataset} has no validation split beside what is trained on"
            raise OptionError(what, todo="leave validate_every at 0")
        self.data = open_dataset(recipe, data_root, "val", **options).prepare(progress)
        self.shape = {"crop": recipe.crop, "frames": recipe.frames, "seed": 0}

    def __call__(self, model, loss_of, step, precision) -> dict[str, float]:
        """{"val_loss", "val_psnr"}: means over the crops; PSNR in dB, clipped to [0, 1]."""
        amplify, scores = not model.spec.amplifies_itself, []
        batch = self.data.batch(0, size=min(len(self.data), CROPS), amplify=amplify, **self.shape)
        model.eval()
        with torch.no_grad():
            for pair in zip(*batch, strict=True):
                x, y = (torch.from_numpy(a)[None].to(precision.device) for a in pair)
                prediction = precision.predict(model, x)
                mse = F.mse_loss(prediction.clamp(0, 1), y)
                loss = loss_of(prediction, y, step, model.parameters())
                scores.append(torch.stack([loss, -10 * mse.clamp(min=1e-10).log10()]))
        model.train()
        loss, psnr = torch.stack(scores).mean(0).tolist()
        return {"val_loss": loss, "val_psnr": psnr}
