"""What a data root holds and lacks, in words and counts: `lowlight data check ROOT`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import DATASETS
from .issues import Issue


@dataclass(frozen=True)
class Report:
    """What `check` found: `ok`, `exit_code`, `issues`, and as a string the lines to print."""

    root: Path
    issues: tuple[Issue, ...]

    @property
    def ok(self) -> bool:
        return not any(i.severity == "error" for i in self.issues)

    @property
    def exit_code(self) -> int:
        return 0 if self.ok else 1

    def __str__(self):
        errors = sum(i.severity == "error" for i in self.issues)
        end = f"{errors} finding{'s'[: errors > 1]} to act on" if errors else "nothing is lacking"
        return "\n".join([f"{self.root}:", *map(str, self.issues), end])


def check(root, deep=False, progress=False) -> Report:
    """Look through a data root; nothing is changed on disk.

    Args:
        root: the folder that holds SID/ and its like.
        deep: open every raw file instead of a few of each kind; minutes for the real set.
        progress: show a bar while files are opened.
    """
    root, found = Path(root), []
    for dataset in DATASETS.values():
        folder = root / dataset.folder_name
        try:
            if folder.is_dir():
                found += dataset.check(folder, deep, progress)
        except OSError as e:
            found.append(Issue(f"{folder.name}: cannot be looked through ({e})"))
    return Report(root, tuple(found) or (Issue(_nothing(root)),))


def _nothing(root):
    if not root.is_dir():
        return "there is no such folder"
    traces = (("SID", "Sony"), ("SID", "Fuji"), ("SID", "*_train_list.txt"))
    traces += (("LLRVD", "ratio_gt"), ("SMOID", "_Scene*"), ("LOL", "our485"))
    for name, trace in traces:
        if any(root.glob(trace)):
            and_ = " and" if name == "SID" else ""
            parent = f"a folder {name} around it,{and_} its parent"
            parent = "its parent" if root.name == name else parent
            return f"this looks like {name} itself: give {parent} as the root"
    names = ", ".join(dataset.folder_name for dataset in DATASETS.values())
    return f"no data set is here ({names}); `lowlight data mini` makes a small one"
