"""One paper, one readable file. `build(key)` makes a network, `SYSTEMS[key]` says what it is."""

from .spec import (
    SYSTEMS,
    WHOLE_NETWORK,
    Card,
    ExportUnit,
    Spec,
    Task,
    add,
    build,
    export_units,
    of_task,
    spec_of,
    with_spec,
)

__all__ = [
    "SYSTEMS",
    "WHOLE_NETWORK",
    "Card",
    "ExportUnit",
    "Spec",
    "Task",
    "add",
    "build",
    "export_units",
    "of_task",
    "spec_of",
    "with_spec",
]
