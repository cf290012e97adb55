"""What a data root holds and lacks, in words and counts: `lowlight data check ROOT`."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import LowlightError
from . import DATASETS
from .base import read_note


@dataclass(frozen=True)
class Report:
    """What `check` found; as a string the lines to print, of which those with ! are `errors`."""

    root: Path
    lines: list[str]
    errors = property(lambda self: [line for line in self.lines if line.startswith("!")])
    exit_code = property(lambda self: int(bool(self.errors)))

    def __str__(self):
        end = f"to act on: {len(self.errors)}" if self.errors else "nothing is lacking"
        return "\n".join([f"{self.root}:", *self.lines, end])


def check(root, deep=False, progress=False, only=()) -> Report:
    """Look through a data root: at every file where it is `deep`, else at a few of each split, and
    at what is there, or at `only` these keys of DATASETS, which have to be there."""
    root, lines = Path(root), []
    for dataset in [DATASETS[key] for key in only] or DATASETS.values():
        if only or (root / dataset.folder_name).is_dir():
            lines += _check_set(dataset, root, deep, progress)
    if not lines:
        names = ", ".join(dataset.folder_name for dataset in DATASETS.values())
        todo = f"give the folder that holds them, or call `lowlight data mini {root}`"
        lines = [f"! no data set is here, none of {names}: {todo}"]
    return Report(root, lines)


def _check_set(dataset, root, deep, progress):
    from tqdm.auto import tqdm

    folder = root / dataset.folder_name
    note = read_note(folder)
    if note and not note.get("complete"):
        yield f"! {folder.name}: an unfinished mini set: `lowlight data mini {root}` makes it"
    for options in dataset.parts(folder):
        label = " ".join([folder.name, *filter(None, options.values())])
        try:
            data = dataset(root, **options)
        except (LowlightError, OSError) as e:
            yield f"! {label}: {e}"
            continue
        yield from (f"! {label}: {text}" for text in data.lacks(note))
        calls, errors = data.inspections(), []
        calls = calls[:: 1 if deep else max(1, (len(calls) - 1) // 2)]
        for call in tqdm(calls, desc=label, disable=not progress, leave=False):
            try:
                call()
            except LowlightError as e:
                errors.append(e)
        if errors:
            yield f"! {label}: {len(errors)} of {len(calls)} opened cannot be used: {errors[0]}"
        items, scenes = data.counts
        yield f"  {label}: {items} items of {scenes} scenes; opened {len(calls)}"
