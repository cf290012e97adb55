"""Pickles of other people, read without running anything of them.

A pickle is a program that may call whatever can be imported. Here a reader of our own follows the
instructions that plain data and arrays need, and nothing is imported or called.
"""

from __future__ import annotations

import io
import math
import os
import pickletools
import re
import zipfile

import numpy as np

from ..errors import DataError
from .files import why_unread

LARGEST = 2**18  # bytes of a file; LLRVD's hold 13 numbers
MOST = 2000  # instructions of its pickle
MOST_OF_CHECKPOINT = 2**21
_VALUE = re.compile("NONE|(BIN|LONG_)?INT[12]?|LONG[14]?|(BIN)?FLOAT|BYTEARRAY8|"
                    "((SHORT_)?BIN)?(STRING|UNICODE8?)|(SHORT_)?BINBYTES8?")  # fmt: skip
_NEW = {"NEWFALSE": bool, "EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}
_COUNT = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "APPEND": 1, "SETITEM": 2}  # else: from the mark
_OBJECT = {"NEWOBJ": 2, "NEWOBJ_EX": 3, "EMPTY_SET": 0, "FROZENSET": None, "OBJ": None,
           "INST": None}  # fmt: skip
_KEYS = str, bytes, int, float, type(None)
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


class Unknown:
    """In the place of whatever is no plain data in a checkpoint: nothing of it is made."""

    def __call__(self, *_):
        return self


UNKNOWN = Unknown()


def loads(data, storage=None):
    """The object in a pickle, under the same rules; DataError, or what Python says, for others.

    Args:
        data: bytes, or a file, which is read up to the end of the pickle.
        storage: of a checkpoint, a function of what a pickle says of a tensor's numbers, kept
            elsewhere. Tensors are made of these, and what else is unknown becomes `UNKNOWN`.
    """
    stack, marks, memo, strict = [], [], {}, storage is None
    names, most = (_NAMES, MOST) if strict else (_torch_names(), MOST_OF_CHECKPOINT)

    def take(count=None):
        """The last values, or all since the last mark."""
        start = marks.pop() if count is None else len(stack) - count
        taken = stack[start:]
        del stack[start:]
        return taken

    for count, (opcode, value, _) in enumerate(pickletools.genops(data)):
        name = opcode.name
        if count > most:
            raise DataError(f"more than {most} instructions")
        if _VALUE.fullmatch(name):
            stack.append(value)
        elif name in _NEW:
            stack.append(_NEW[name]())
        elif name == "NEWTRUE":
            stack.append(True)
        elif name == "MARK":
            marks.append(len(stack))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if value is None else value] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            found = memo[value]
            # What is in two places could hold itself, or double, and double again.
            if isinstance(found, list | tuple | dict) and (strict or not _flat(found)):
                if strict:
                    raise DataError("a list, tuple or dict is repeated")
                found = UNKNOWN
            stack.append(found)
        elif name.startswith("TUPLE"):
            stack.append(tuple(take(_COUNT.get(name))))
        elif name == "LIST":
            stack.append(take())
        elif name == "DICT":
            items = take()
            stack.append(_filled({}, items, strict))
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            items = take(_COUNT.get(name))
            if stack[-1] is not UNKNOWN:
                list.extend(stack[-1], items)
        elif name.startswith("SETITEM"):
            items = take(_COUNT.get(name))
            if stack[-1] is not UNKNOWN:
                _filled(stack[-1], items, strict)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            asked = re.sub(r"^numpy\._?core\.multiarray ", "numpy ", value or " ".join(take(2)))
            if strict and asked not in names:
                raise DataError(f"asks for {asked.replace(' ', '.'):.80}")
            stack.append(names.get(asked, UNKNOWN))
        elif name == "REDUCE":  # there is nothing else to be called than the functions in names
            function, args = take(2)
            stack.append(function(*args))
        elif name == "BUILD":  # what begins as an empty object or a dtype gets its content
            old, state = take(2)
            if not strict:
                stack.append(old)
                continue
            if isinstance(old, np.dtype):
                stack.append(np.dtype(old.newbyteorder(state[1]).str))
            else:
                _, shape, dtype, fortran, content = state
                stack.append(_array(content, dtype, shape, fortran))
            memo |= {place: stack[-1] for place, it in memo.items() if it is old}
        elif not strict and name == "BINPERSID":
            stack.append(storage(*take(1)[0]))
        elif not strict and name in _OBJECT:
            take(_OBJECT[name])
            stack.append(UNKNOWN)
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise DataError(f"the instruction {name}, which plain data do not need")
    [found] = stack
    if strict:
        _check(found)
    return found


def _flat(value):
    return isinstance(value, tuple) and all(isinstance(v, _KEYS) for v in value)


def _filled(target, items, strict):
    """A dict with more keys and values; its keys are plain, since hashing others may never end."""
    for key, value in zip(items[::2], items[1::2], strict=True):
        if isinstance(key, _KEYS):
            dict.__setitem__(target, key, value)
        elif strict:
            raise DataError("a key that is no text or number")
    return target


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


_STORAGES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16",
    "Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8",
    "Bool": "bool",
}  # fmt: skip
_MAGIC = 0x1950A86A20F9469CFC6C  # what files of PyTorch before 1.6 begin with


def _torch_names():
    import torch

    def tensor(storage, offset, size, stride, *_):
        if storage is UNKNOWN:
            return UNKNOWN
        if not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)):
            raise DataError("a tensor of impossible size")
        if math.prod(size) > len(storage):  # one number repeated takes no bytes here, but later
            raise DataError("a tensor larger than its numbers")
        return storage.as_strided(size, stride, offset)

    return {
        "collections OrderedDict": lambda pairs=(): _filled({}, [v for p in pairs for v in p], 0),
        "torch Size": tuple,
        "numpy scalar": lambda *_: None,
        "torch._utils _rebuild_tensor": tensor,
        "torch._utils _rebuild_tensor_v2": tensor,
        "torch._utils _rebuild_parameter": lambda data, *_: data,
        **{f"torch {name}Storage": getattr(torch, kind) for name, kind in _STORAGES.items()},
    }


def read_checkpoint(path):
    """What torch.save wrote: dicts, lists, plain values and tensors on the CPU, and in the place of
    all else `UNKNOWN`. Whatever is damaged raises a DataError, or what Python says.

    PyTorch's own reader takes one protocol of pickles, no objects beside the tensors, and does not
    look at the checksums of the file.
    """
    with open(path, "rb") as file:
        if zipfile.is_zipfile(file):
            return _zipped(file)
        file.seek(0)
        return _before_zip(file)


def _zipped(file):
    with zipfile.ZipFile(file) as z:
        members = {m.filename.partition("/")[2]: m for m in z.infolist()}
        for member in members.values():
            if not member.CRC:  # written without
                del member.CRC
        if "constants.pkl" in members:
            todo = "save the weights alone: torch.save(torch.jit.load(FILE).state_dict(), NEW)"
            raise DataError("is a TorchScript archive, a program, which is not run", todo=todo)
        if sum(m.file_size for m in members.values()) > os.fstat(file.fileno()).st_size:
            raise DataError("is compressed, or damaged")
        if "byteorder" in members and z.read(members["byteorder"]) != b"little":
            raise DataError("was written by another kind of machine")
        there = {}

        def storage(word, dtype, key, *_):
            if word != "storage" or dtype is UNKNOWN:
                return UNKNOWN
            if (dtype, key) not in there:
                there[dtype, key] = _numbers(z.read(members[f"data/{key}"]), dtype)
            return there[dtype, key]

        return loads(z.read(members["data.pkl"]), storage)


def _before_zip(file):
    """PyTorch's format until 1.6: pickles, then the numbers, for which the last is read twice."""
    magic, _, system = (loads(file, lambda *_: UNKNOWN) for _ in range(3))
    if magic != _MAGIC or not system["little_endian"]:
        raise DataError("is no file of PyTorch, or of another kind of machine")
    start, kinds = file.tell(), {}

    def seen(word, dtype, key, *_):
        if word == "storage" and dtype is not UNKNOWN:
            kinds[key] = dtype
        return UNKNOWN

    loads(file, seen)
    there, size = {}, os.fstat(file.fileno()).st_size
    for key in loads(file, seen):
        count = int.from_bytes(file.read(8), "little")
        content = file.read(min(count * kinds[key].itemsize, size))
        there[key] = _numbers(content, kinds[key])
        if len(there[key]) != count:
            raise DataError("is cut short")
    file.seek(start)
    return loads(file, lambda word, dtype, key, *_: there.get(key, UNKNOWN))


def _numbers(content, dtype):
    import torch

    return torch.frombuffer(bytearray(content), dtype=dtype) if content else torch.empty(0)
