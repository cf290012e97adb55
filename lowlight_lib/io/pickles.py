"""Pickles of other people, read without running anything of them.

A pickle is a program that may call whatever can be imported. Here a reader of our own follows the
instructions that plain data and numpy arrays need, and nothing is imported or called.
"""

from __future__ import annotations

import collections
import io
import pickle
import pickletools
import re
import types
import zipfile
from typing import Any, cast

import numpy as np

from ..errors import DataError
from .files import why_unread

LARGEST = 2**18  # bytes of a file; LLRVD's hold 13 numbers
MOST = 2000  # instructions of a pickle
_VALUE = re.compile("NONE|BININT[12]?|LONG[14]|BINFLOAT|(SHORT_)?BIN(STRING|(UNICODE|BYTES)8?)")
_NEW = {"NEWFALSE": bool, "EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}
_COUNT = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "APPEND": 1, "SETITEM": 2}  # else: from the mark
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)|[US]\d{1,6}|O8?)")


def load_npy(path):
    """The object in a `.npy` file: what np.load(path, allow_pickle=True).item() gives, safely.

    It may hold dicts, lists, tuples, strings, bytes, numbers, None, numpy scalars and arrays; these
    come back read-only. A file that pickles nothing gives its array.

    Raises:
        DataError: it is no such file, or holds anything else; nothing of it has been run.
    """
    try:
        with open(path, "rb") as f:
            data = f.read(LARGEST + 1)
    except OSError as e:
        raise DataError(why_unread(e), file=path, todo="check its place") from e
    try:
        if len(data) > LARGEST:
            raise DataError(f"larger than {LARGEST} bytes")
        f = io.BytesIO(data)
        major, minor = np.lib.format.read_magic(f)
        shape, fortran, dtype = getattr(np.lib.format, f"read_array_header_{major}_{minor}")(f)
        rest = f.read()
        found = loads(rest) if dtype.hasobject else _array(rest, dtype, shape, fortran)
        return found.item() if isinstance(found, np.ndarray) and found.shape == () else found
    except Exception as e:  # what is no such file fails in a dozen ways
        what = f"is no .npy file of plain data, so it was not read ({e!s:.200})"
        todo = "get it again from where the data set comes from, and do not open it otherwise"
        raise DataError(what, file=path, todo=todo) from e


def loads(data: bytes):
    """The object in a pickle, under the same rules; DataError, or what Python says, for others."""
    stack, marks, memo = [], [], {}

    def take(count=None):
        """The last values, or all since the last mark."""
        start = marks.pop() if count is None else len(stack) - count
        taken = stack[start:]
        del stack[start:]
        return taken

    for count, (opcode, value, _) in enumerate(pickletools.genops(data)):
        name = opcode.name
        if count > MOST:
            raise DataError(f"more than {MOST} instructions")
        if _VALUE.fullmatch(name):
            stack.append(value)
        elif name in _NEW:
            stack.append(_NEW[name]())
        elif name == "NEWTRUE":
            stack.append(True)
        elif name == "MARK":
            marks.append(len(stack))
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if value is None else value] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            if isinstance(memo[value], list | tuple | dict):  # it could hold itself, or double
                raise DataError("a list, tuple or dict is repeated")
            stack.append(memo[value])
        elif name.startswith("TUPLE"):
            stack.append(tuple(take(_COUNT.get(name))))
        elif name.startswith("APPEND"):
            items = take(_COUNT.get(name))
            list.extend(stack[-1], items)
        elif name.startswith("SETITEM"):
            items = take(_COUNT.get(name))
            dict.update(stack[-1], zip(items[::2], items[1::2], strict=True))
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            asked = re.sub(r"^numpy\._?core\.multiarray ", "numpy ", value or " ".join(take(2)))
            if asked not in _NAMES:
                raise DataError(f"asks for {asked.replace(' ', '.'):.80}")
            stack.append(_NAMES[asked])
        elif name == "REDUCE":  # there is nothing else to be called than the functions in _NAMES
            function, args = take(2)
            stack.append(function(*args))
        elif name == "BUILD":  # what begins as an empty object or a dtype gets its content
            old, state = take(2)
            if isinstance(old, np.dtype):
                stack.append(np.dtype(old.newbyteorder(state[1]).str))
            else:
                _, shape, dtype, fortran, content = state
                stack.append(_array(content, dtype, shape, fortran))
            memo |= {place: stack[-1] for place, it in memo.items() if it is old}
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise DataError(f"the instruction {name}, which plain data do not need")
    [found] = stack
    _check(found)
    return found


def _dtype(code, *_):
    if not _DTYPE.fullmatch(code):
        raise DataError(f"an array of {code!r:.80}")
    return np.dtype(code, copy=True)


def _array(content, dtype, shape, fortran):
    """A read-only array on its bytes, of which there have to be exactly as many as it needs."""
    order = "F" if fortran else "C"
    if dtype.hasobject:
        return np.fromiter(content, object).reshape(shape, order=order)
    content = content.encode("latin1") if isinstance(content, str) else content  # Python 2's
    if not dtype.itemsize and content == b"" and shape == ():  # an empty string
        return np.zeros((), dtype)
    return np.frombuffer(content, dtype).reshape(shape, order=order)


def _check(value):
    """Refuse what only describes an array."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    elif isinstance(value, np.ndarray) and value.dtype.hasobject:
        value = value.ravel().tolist()
    if isinstance(value, list | tuple):
        for part in value:
            _check(part)
    elif callable(value) or isinstance(value, np.dtype) or type(value) is object:
        raise DataError("a function, a type, or an array without content")


# What numpy, old and new, describes its arrays with.
_NAMES = {
    "numpy ndarray": object,
    "numpy _reconstruct": lambda *_: object(),
    "numpy dtype": _dtype,
    "numpy scalar": lambda dtype, content: _array(content, dtype, (), False)[()],
}


class _Empty:
    """In the place of any object that is no tensor: takes what it is given and does nothing."""

    def __init__(self, *args, **kwargs): ...

    __setstate__ = __setitem__ = append = extend = update = add = __init__


def read_mmcv_checkpoint(path) -> dict | None:
    """A checkpoint of mmcv, without running anything of it; None where it is something else.

    mmcv writes {"meta": ..., "state_dict": ..., "optimizer": ...} with whatever its run had in
    "meta", so PyTorch's restricted loader refuses the file. Here tensors are made, and `_Empty`
    in the place of all else.
    """
    import torch

    names = {"collections.OrderedDict": collections.OrderedDict, "torch.Size": torch.Size}
    names["torch._utils._rebuild_tensor_v2"] = lambda *a: torch._utils._rebuild_tensor_v2(*a)  # pyright: ignore[reportAttributeAccessIssue]  (torch imports it by itself)

    class TensorUnpickler(pickle.Unpickler):
        def find_class(self, module, name):
            return names.get(f"{module}.{name}", _Empty)

    reader = cast(Any, types.ModuleType("restricted"))  # torch.load takes it for the module pickle
    reader.Unpickler = TensorUnpickler
    try:
        if zipfile.is_zipfile(path):
            with open(path, "rb") as f:
                found = torch.load(f, map_location="cpu", pickle_module=reader, weights_only=False)
            return found if "meta" in found and "state_dict" in found else None
    except Exception:  # the caller says that it is no checkpoint
        return None
