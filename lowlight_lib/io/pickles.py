"""Pickles of other people, read without running anything of them.

A pickle is a small program that may call whatever can be imported, so opening one runs the code of
its author. Here Python's unpickler finds every name in a table of ours, and nothing is imported.
"""

from __future__ import annotations

import collections
import io
import pickle
import pickletools
import re
import types
import zipfile

import numpy as np

from ..errors import DataError

LARGEST = 2**18  # bytes of a file; LLRVD's hold 13 numbers
MOST = 2000  # instructions of a pickle
# What makes a value, and what builds tuples, lists and dicts of them, in the protocols of np.save.
_VALUE = re.compile(
    "NONE|NEW(TRUE|FALSE)|BININT[12]?|LONG[14]|BINFLOAT|(SHORT_)?BIN(STRING|(UNICODE|BYTES)8?)"
    "|(STACK_)?GLOBAL|REDUCE"
)
_CONTAINER = re.compile(
    "PROTO|FRAME|STOP|MARK|BUILD|EMPTY_(TUPLE|LIST|DICT)|TUPLE[123]?|APPENDS?|SETITEMS?"
)
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)|[US]\d{1,6}|O8?)")


def load_npy(path):
    """The object in a `.npy` file: what np.load(path, allow_pickle=True).item() gives, safely.

    Returns:
        Dicts, lists, tuples, strings, bytes, numbers, None, numpy scalars and read-only arrays; of
        an array without axes what it holds. A file that pickles nothing gives its array.
    Raises:
        DataError: it is no such file, or holds anything else; nothing of it has been run.
    """
    try:
        with open(path, "rb") as f:
            data = f.read(LARGEST + 1)
    except FileNotFoundError as e:
        raise DataError("is missing", file=path, todo="complete the data set") from e
    except OSError as e:
        raise DataError(f"cannot be read ({e})", file=path) from e
    todo = "get it again from where the data set comes from, and do not open it otherwise"
    try:
        if len(data) > LARGEST:
            raise DataError(f"is larger than {LARGEST} bytes")
        return _read_npy(io.BytesIO(data))
    except DataError as e:
        raise DataError(f"{e.what}, so it was not read", file=path, todo=todo) from e
    except Exception as e:  # what is no such file fails in a dozen ways
        what = f"is no .npy file, or a damaged one ({e!s:.200})"
        raise DataError(what, file=path, todo=todo) from e


def _read_npy(f):
    major, minor = np.lib.format.read_magic(f)
    read_header = getattr(np.lib.format, f"read_array_header_{major}_{minor}")
    shape, fortran, dtype = read_header(f)
    order = "F" if fortran else "C"
    found = loads(f.read()) if dtype.hasobject else _array(f.read(), dtype, shape, order)
    return found.item() if isinstance(found, np.ndarray) and found.shape == () else found


def loads(data: bytes):
    """The object in a pickle, under the same rules; DataError, or what Python says, for others."""
    _check_instructions(data)
    found = _ArrayUnpickler(io.BytesIO(data), encoding="latin1").load()  # Python 2 has bytes as str
    if isinstance(found, _Array) and found.items is not None:
        array = np.fromiter(map(_finished, found.items), object)
        return array.reshape(found.shape, order=found.order)
    return _finished(found)


def _check_instructions(data):
    """Refuse what would take more time or memory than the size of the file lets one expect.

    `genops` follows no instruction, and finds lengths that are not true. Each container may stand
    in one place only: a repeated one could hold itself, or double sixty times over.
    """
    memo, made = {}, ""
    for count, (opcode, place, _) in enumerate(pickletools.genops(data)):
        name = opcode.name
        if count > MOST:
            raise DataError(f"holds more than {MOST} instructions")
        if name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if place is None else place] = made
        elif name in ("BINGET", "LONG_BINGET"):
            made = memo[place]
            if not _VALUE.fullmatch(made):
                raise DataError("repeats a list, tuple or dict")
        elif _VALUE.fullmatch(name) or _CONTAINER.fullmatch(name):
            made = name
        else:
            raise DataError(f"holds the instruction {name}, which plain data do not need")
    if max(memo, default=0) > MOST:  # the unpickler would make room for all places up to it
        raise DataError(f"memorises something at place {max(memo)}")


class _ArrayUnpickler(pickle.Unpickler):
    """Knows the names with which numpy, old and new, describes its arrays."""

    def find_class(self, module, name):
        names = {  # new functions each time, as the instruction BUILD can set attributes of them
            "numpy.ndarray": _Array,
            "numpy.dtype": _Dtype,
            "numpy._reconstruct": lambda *_: _Array(),
            "numpy.scalar": lambda dtype, buffer: _array(buffer, dtype.numpy, (), "C")[()],
        }
        known = re.sub(r"^numpy\._?core\.multiarray$", "numpy", module) + f".{name}"
        if known not in names:
            raise DataError(f"asks for {f'{module}.{name}':.80}")
        return names[known]


class _Dtype:
    """In the place of a numpy.dtype: a code, and later a byte order."""

    def __init__(self, code, *_):
        if not _DTYPE.fullmatch(code):
            raise DataError(f"holds an array of {code!r:.80}")
        self.numpy = np.dtype(code)

    def __setstate__(self, state):
        self.numpy = np.dtype(self.numpy.newbyteorder(state[1]).str)


class _Array:
    """In the place of a numpy.ndarray: later its `value`, or the `items` of one of objects."""

    value = items = None

    def __setstate__(self, state):
        _, self.shape, dtype, fortran, content = state
        self.order = "F" if fortran else "C"
        if dtype.numpy.hasobject:
            self.items = content
        else:
            self.value = _array(content, dtype.numpy, self.shape, self.order)


def _array(buffer, dtype, shape, order):
    """A read-only array on its bytes, of which there have to be exactly as many as it needs."""
    buffer = buffer.encode("latin1") if isinstance(buffer, str) else buffer
    if not dtype.itemsize and buffer == b"" and shape == ():  # an empty string
        return np.zeros((), dtype)
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


def _finished(value):
    """The same object with the arrays in their places."""
    if isinstance(value, dict):
        return {_finished(k): _finished(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_finished(v) for v in value)
    if isinstance(value, _Array) and value.value is not None:
        return value.value
    if isinstance(value, _Array | _Dtype) or callable(value):
        raise DataError("holds a function, a type, or an array of objects")
    return value


class _Empty:
    """In the place of any object that is no tensor: takes what it is given and does nothing."""

    def __init__(self, *args, **kwargs):
        pass

    __setstate__ = __setitem__ = append = extend = update = add = __init__


def read_mmcv_checkpoint(path) -> dict | None:
    """The weights in a checkpoint of mmcv, {name: tensor}, without running anything of it.

    mmcv writes {"meta": ..., "state_dict": ..., "optimizer": ...} with whatever its run had in
    "meta", so PyTorch's restricted loader refuses the file.

    Returns:
        None where the file is something else: not a zip, no "meta" beside a "state_dict", or
        anything but tensors in that.
    """
    import torch

    names = {
        "collections.OrderedDict": collections.OrderedDict,
        "torch.Size": torch.Size,
        "torch._utils._rebuild_tensor_v2": lambda *a: torch._utils._rebuild_tensor_v2(*a),
        "torch._utils._rebuild_parameter": lambda *a: torch._utils._rebuild_parameter(*a),
    }

    class TensorUnpickler(pickle.Unpickler):
        def find_class(self, module, name):
            return names.get(f"{module}.{name}", _Empty)

    if not zipfile.is_zipfile(path):
        return None
    reader = types.ModuleType("restricted")  # torch.load takes it for the module pickle
    reader.Unpickler = TensorUnpickler
    try:
        with open(path, "rb") as f:
            found = torch.load(f, map_location="cpu", pickle_module=reader, weights_only=False)
        state = dict(found["state_dict"]) if "meta" in found else {None: None}
    except Exception:  # the caller has PyTorch's own complaint to report
        return None
    good = all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in state.items())
    return state if good else None
