"""Data sets in the layouts that the papers publish: `find(key, name)`, `open_dataset(recipe, ...)`.

No data set knows a network; a system and a data set fit together where their tasks are the same.
"""

from ..errors import OptionError
from ..models import SYSTEMS, Task
from .base import Dataset
from .llrvd_smoid import LlrvdDataset, SmoidDataset
from .photos import LolDataset, LolTestDataset, PairsDataset, SiceTestDataset
from .sid import SidDataset
from .simulated import SimulatedClips, SimulatedStills

__all__ = ["DATASETS", "Dataset", "find", "open_dataset"]

_VIDEO, _LOL = (LlrvdDataset, SmoidDataset), (LolDataset, LolTestDataset, SiceTestDataset)
DATASETS: dict[str, type[Dataset]] = {
    **{
        dataset.folder_name.lower(): dataset
        for dataset in (SidDataset, *_VIDEO, PairsDataset, *_LOL)
    },
    "photos": SimulatedStills,
    "photo-clips": SimulatedClips,
}


def find(key, name) -> type[Dataset]:
    """The data set of that name; OptionError where there is none, or it is for another task than
    `key`, a system's or a `models.Task`."""
    if name not in DATASETS:
        raise OptionError(f"unknown dataset {name!r}", todo=f"use {', '.join(DATASETS)}")
    task = key if isinstance(key, Task) else SYSTEMS[key].spec.task
    if task is not DATASETS[name].task:
        fit = [n for n, dataset in DATASETS.items() if dataset.task is task]
        raise OptionError(f"{name!r} is no data set for {key}", todo=f"use {' or '.join(fit)}")
    return DATASETS[name]


def open_dataset(recipe, data_root, split, **changes) -> Dataset:
    """The data set that a recipe names, for a split, with the recipe's options or others;
    OptionError where its crops would lose the phase of a mosaic."""
    dataset = find(recipe.key, recipe.dataset)
    if recipe.crop % dataset.crop_multiple:
        what = f"crops of {recipe.dataset} are even, or the Bayer phase is lost; not {recipe.crop}"
        raise OptionError(what, todo="choose another crop")
    if recipe.camera and "camera" not in dataset.recipe_options:
        what = f"{recipe.dataset} has its own camera, {recipe.camera} is not simulated there"
        raise OptionError(what, todo="train with --profile release, or make data by --camera")
    options = {n: getattr(recipe, n) for n in dataset.recipe_options} | changes
    return dataset(data_root, split, **options)
