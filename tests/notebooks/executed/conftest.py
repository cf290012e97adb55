"""How nbval's cells, and the tests behind them, are shared out among the workers of pytest-xdist.

A notebook's cells stay together. The trainings, what reads their results, and the tests of what all
of them left run on one worker, in order. (Groups of xdist's own do not work with pytest 9.2.)
"""

from pathlib import PurePath

import pytest
from support.notebook_files import NOTEBOOKS

NAMES = sorted(p.stem for p in NOTEBOOKS.glob("*.ipynb"))
FIRST_TRAINING = next(name for name in NAMES if "train_test" in name)
IN_ORDER = {n for n in NAMES if n >= FIRST_TRAINING} | {"test_left_by_nbval"}


def work_unit(nodeid):
    """The name of the unit that a test belongs to."""
    name = PurePath(nodeid.partition("::")[0]).stem
    if name == "test_students_copies":
        return nodeid
    return "in order" if name in IN_ORDER else name


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class ByNotebook(LoadScopeScheduling):
        _split_scope = staticmethod(work_unit)

    return ByNotebook(config, log)
