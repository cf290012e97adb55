"""One paper, one readable file. `build(key)` makes a network, `SYSTEMS[key]` says what it is."""

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from .spec import Network as Network

__all__ = ["SYSTEMS", "WHOLE_NETWORK", "Card", "ExportUnit", "Spec", "Task", "add", "build"]
__all__ += ["export_units", "of_task", "spec_of", "with_spec"]
