"""Raw stills: how they are fed, scored and shown."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..io.files import write_picture
from ..io.pictures import upright
from ..restore.still import find_amplification, restore
from ..sensor import isp
from ..sensor.cfa import tile
from ..sensor.raw import RawImage
from .base import Evaluation, name_of
from .baselines import SIDE


@dataclass(kw_only=True)
class Stills(Evaluation):
    """Raw stills. The baseline is the same amplified mosaic (as recorded, X-Trans too) as a DNG,
    developed by the very LibRaw call that made the target.

    Pictures are NAME_{input,baseline,result,target}.png; with another amplification than the true
    ratio only NAME_{baseline,result}_{amplification}.png, since the others do not depend on it.
    """

    m: float = 5.0  # brightness of the estimate, as in REDI's released training code
    first_of_burst: bool = True  # of the data set, as the next two
    exposure: float | None = None
    exclude_misaligned: bool = False
    levels: tuple[float, float] | None = None  # not the files' own; by default the training's
    match_colour: bool = False  # another camera's, see `restore`

    def data_options(self):
        names = ("first_of_burst", "exposure", "exclude_misaligned", "levels")
        native = self.network.spec.cfa == "X-Trans"
        return {name: getattr(self, name) for name in names} | {"native": native}

    def example(self, data, i):
        baseline = isp.develop(amplified(data.recorded(i), data.ratio(i)))
        return middle(baseline), middle(data.target(i)) / np.float32(65535)

    def score(self, i):
        raw, target = self.data.input(i), self.data.target(i)
        if raw.mosaic.shape != target.shape[:2]:
            raise DataError(f"is {raw.mosaic.shape}, its target {target.shape[:2]}")
        target = target / np.float32(65535)
        factor = find_amplification(raw, *self.amplification_of(i))
        colours: dict = {} if self.match_colour else {"trained_on": None}
        done = restore(raw, self.network, amplification=factor, upright=False, **colours)
        recorded, name = self.data.recorded(i), self.data.name(i)
        baseline = isp.develop(amplified(recorded, factor))
        scores = self.scores(done.image, baseline, baseline, target)
        if self.folder:
            views = {"baseline": baseline, "result": done.image}
            if self.amplification == "ratio":
                views |= {"input": isp.develop(recorded), "target": target}
            else:  # the others are the same whatever the factor
                views = {f"{k}_{name_of(self.amplification)}": v for k, v in views.items()}
            for view, picture in views.items():
                path = self.folder / f"{name}_{view}.png"
                write_picture(path, upright(picture, raw.orientation))
        row = {"name": name, "scene": self.data.pairs[i].scene}
        row |= {"ratio": self.data.ratio(i), "amplification": factor}
        return row | scores | {"seconds": sum(done.seconds.values())}

    def summary(self, rows):
        return {"camera": self.data.camera} | super().summary(rows)


def middle(picture):
    """The middle of a picture (H, W, ...), at most SIDE x SIDE."""
    top, left = (max(0, size - SIDE) // 2 for size in picture.shape[:2])
    return picture[top : top + SIDE, left : left + SIDE]


def amplified(raw: RawImage, factor) -> RawImage:
    """The mosaic multiplied above its black level, all that a converter gets without a network."""
    black = tile(raw.black_level, raw.mosaic.shape)
    signal = (raw.mosaic - black) * np.float32(factor) + black
    mosaic = np.clip(np.rint(signal), 0, raw.white_level).astype(np.uint16)
    return dataclasses.replace(raw, mosaic=mosaic)
