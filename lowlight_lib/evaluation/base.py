"""What is the same in a test of any task; `stills`, `video` and `photos` say the rest."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from .baselines import Rival
from .metrics import SCORES, Protocol, score_beside
from .results import mean


@dataclass(kw_only=True)
class Evaluation:
    """How the items of a data set are fed to a network, scored and shown. The further fields of a
    subclass are the options that `evaluation.test` takes for its task."""

    protocol: Protocol
    amplification: Any
    folder: Path | None  # where pictures go; None writes none
    network: Any = None
    data: Any = None
    count: int = 0  # of the data's items, how many are tested
    rival: Rival | None = None  # see `baselines`; None where there is nothing to fit it on

    @classmethod
    def options(cls) -> list[str]:
        """Names of the options of this task."""
        return [f.name for f in dataclasses.fields(cls)[len(dataclasses.fields(Evaluation)) :]]

    def amplification_of(self, i):
        """(amplification, m) for item i, as `restore` takes them."""
        if self.amplification == "ratio":
            return self.data.ratio(i), 1.0
        return self.amplification, cast(Any, self).m if self.amplification == "auto" else 1.0

    def data_options(self) -> dict:
        """What the data set is opened with."""
        return {}

    def begin(self) -> None:
        """What comes before the first item."""

    def file(self, i) -> Path:
        """What an error of item i is about."""
        return self.data.file(i)

    def example(self, data, i) -> tuple:
        """(what of an item a rival denoises, its target), for `baselines.fit`."""
        raise NotImplementedError

    def scores(self, picture, baseline, dark, target) -> dict:
        """The scores of a picture, of the baseline, and of the rival's picture of `dark`."""
        rival = self.rival and self.rival.picture(dark)
        return score_beside(picture, baseline, rival, target, self.protocol.name)

    def score(self, i) -> dict:
        """Feed item i, score it, write its pictures; returns its row, with "name", "seconds"."""
        raise NotImplementedError

    def of_all(self, rows) -> dict:
        """How many scenes the rows show, and what the rival is."""
        scenes = len({r["scene"] for r in rows})
        return {"scenes": scenes, "rival": None if self.rival is None else str(self.rival)}

    def summary(self, rows) -> dict:
        """What the test's row says of all items together."""
        means = {k: None if rows[0][k] is None else mean(r[k] for r in rows) for k in SCORES}
        return self.of_all(rows) | means | {"seconds_per_image": mean(r["seconds"] for r in rows)}


def name_of(amplification):
    """What rows and files call an amplification: a learned one by its kind."""
    learned = callable(amplification)
    return getattr(amplification, "kind", "learned") if learned else amplification
