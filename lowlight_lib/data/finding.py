"""A line of what `lowlight data check` says, and what its parts share."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLES = 3  # files of a kind that are opened where not all are


@dataclass(frozen=True)
class Finding:
    """One line of a report; `lack` says that something has to be done."""

    text: str
    lack: bool = False

    def __str__(self):
        return f"{'!' if self.lack else ' '} {self.text}"


def some(paths, what) -> str:
    """How many files are what, and the names of the first three."""
    names = ", ".join(p.name for p in paths[:3]) + (", ..." if len(paths) > 3 else "")
    return f"{len(paths)} file{'s' if len(paths) > 1 else ''} {what} ({names})"
