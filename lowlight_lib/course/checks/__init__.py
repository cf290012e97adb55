"""The checks behind the exercises: one function for each, called with the student's function.

A check compares with the truth and says one encouraging line; on a wrong answer it raises an
AssertionError whose text is the next thing to think about, not the solution. (Where the truth is a
formula, its test measures it.) One module a notebook, nNN_name.py; its functions are all here.
"""

import functools
import importlib
import inspect
import pkgutil

import torch


def _apart(check):
    """The check, which leaves the notebook's random numbers alone, and with errors that do not
    quote its lines: how the truth is computed is in them.
    """

    @functools.wraps(check)
    def checked(*args):
        try:
            with torch.random.fork_rng(devices=[]):
                return check(*args)
        except AssertionError as e:
            raise AssertionError(" ".join(str(e).split())) from None
        except NotImplementedError as e:
            raise e.with_traceback(None) from None

    return checked


for _module in pkgutil.iter_modules(__path__):
    if _module.name[1:3].isdigit():
        _found = importlib.import_module(f".{_module.name}", __name__)
        for _name, _check in inspect.getmembers(_found, inspect.isfunction):
            if _check.__module__ == _found.__name__ and not _name.startswith("_"):
                globals()[_name] = _apart(_check)
