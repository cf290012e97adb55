"""Pickles of other people, which are programs, read without running anything of them: a reader of
our own follows the instructions that plain data and arrays need, and imports and calls nothing.
"""

import functools
import io
import os
import pickletools
import re
import zipfile

import numpy as np

from ..errors import DataError
from .files import open_input

LARGEST = 2**18  # bytes of a file; LLRVD's hold 13 numbers
MOST = 2000  # instructions of its pickle
MOST_OF_CHECKPOINT = 2**21
_VALUE = re.compile("NONE|(BIN|LONG_)?INT[12]?|LONG[14]?|(BIN)?FLOAT|BYTEARRAY8|"
                    "((SHORT_)?BIN)?(STRING|(UNICODE|BYTES)8?)")  # fmt: skip
_NEW = {"NEWFALSE": bool, "NEWTRUE": lambda: True, "EMPTY_TUPLE": tuple, "EMPTY_LIST": list,
        "EMPTY_DICT": dict}  # fmt: skip
_COUNT = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "APPEND": 1, "SETITEM": 2,  # else: from the mark
          "EMPTY_SET": 0, "NEWOBJ": 2, "NEWOBJ_EX": 3}  # fmt: skip
_OBJECTS = "EMPTY_SET", "FROZENSET", "NEWOBJ", "NEWOBJ_EX", "OBJ", "INST"
_KEYS = str, bytes, int, float, type(None)
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)|[US]\d{1,6}|O8?)")


def load_npy(path):
    """What np.load(path, allow_pickle=True).item() gives, safely: dicts, lists, tuples, strings,
    bytes, numbers, None, numpy scalars and read-only arrays; DataError for anything else."""
    with open_input(path) as f:
        data = f.read(LARGEST + 1)
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
        raise DataError(what, file=path, todo="get it again, do not open it otherwise") from e


class _Unknown:
    """In the place of what is no plain data: nothing of it is made."""

    def __call__(self, *_):
        return self


UNKNOWN = _Unknown()


def loads(data, storage=None):
    """The object in a pickle, bytes or an open file, under the same rules; DataError, or what
    Python says, for others. For a checkpoint, `storage` is a function from what it says of a
    tensor's numbers to these; all that is no tensor and no plain data becomes `UNKNOWN`."""
    stack, marks, memo = [], [], {}
    names, most = (_torch_names(), MOST_OF_CHECKPOINT) if storage else (_NAMES, MOST)

    def take(name):
        """The last values, as many as the instruction wants, or all since the last mark."""
        count = _COUNT.get(name)
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
        elif name == "MARK":
            marks.append(len(stack))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if value is None else value] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            # What repeats others could hold itself, or double, and double again.
            parts = memo[value] if isinstance(memo[value], tuple | list | dict) else ()
            plain = isinstance(parts, tuple) and all(isinstance(v, _KEYS) for v in parts)
            stack.append(memo[value] if plain else UNKNOWN)
        elif name.startswith("TUPLE"):
            stack.append(tuple(take(name)))
        elif name == "LIST":
            stack.append(take(name))
        elif name == "DICT":
            stack.append(_filled({}, take(name)))
        elif name in ("APPEND", "APPENDS", "ADDITEMS", "SETITEM", "SETITEMS"):
            items = take(name)
            if stack[-1] is not UNKNOWN:
                (_filled if name.startswith("SET") else list.extend)(stack[-1], items)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            asked = value or " ".join(take("TUPLE2"))
            asked = re.sub(r"^numpy\._?core\.multiarray ", "numpy ", asked)
            if asked not in names and not storage:
                raise DataError(f"asks for {asked.replace(' ', '.'):.80}")
            stack.append(names.get(asked, UNKNOWN))
        elif name == "REDUCE":  # there is nothing else to be called than the functions in names
            function, args = take("TUPLE2")
            stack.append(function(*args))
        elif name == "BUILD":  # what begins as an empty object or a dtype gets its content
            old, state = take("TUPLE2")
            stack.append(old if storage else _built(old, state))
            if not storage:
                memo |= {place: stack[-1] for place, it in memo.items() if it is old}
        elif storage and name == "BINPERSID":
            stack.append(storage(*stack.pop()))
        elif storage and name in _OBJECTS:
            take(name)
            stack.append(UNKNOWN)
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise DataError(f"the instruction {name}, which plain data do not need")
    [found] = stack
    if not storage:
        _check(found)
    return found


def _filled(target, items):
    """A dict with more of them; other keys than plain ones are not hashed, which may never end."""
    keys = (k if isinstance(k, _KEYS) else UNKNOWN for k in items[::2])
    dict.update(target, zip(keys, items[1::2], strict=True))
    return target


def _built(old, state):
    if isinstance(old, np.dtype):
        return np.dtype(old.newbyteorder(state[1]).str)
    _, shape, dtype, fortran, content = state
    return _array(content, dtype, shape, fortran)


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


_STORAGES = {"Half": "half", "BFloat16": "bfloat16", "Char": "int8", "Byte": "uint8"}
_STORAGES |= {kind: kind.lower() for kind in ("Double", "Float", "Long", "Int", "Short", "Bool")}
_MAGIC = 0x1950A86A20F9469CFC6C  # what files of PyTorch before 1.6 begin with


def _torch_names():
    import torch

    def tensor(storage, offset, size, stride, *_):
        return UNKNOWN if storage is UNKNOWN else storage.as_strided(size, stride, offset)

    return {
        "collections OrderedDict": lambda pairs=(): _filled({}, [v for p in pairs for v in p]),
        "torch Size": tuple,
        "numpy scalar": lambda *_: None,
        "torch._utils _rebuild_tensor": tensor,
        "torch._utils _rebuild_tensor_v2": tensor,
        "torch._utils _rebuild_parameter": lambda data, *_: data,
        **{f"torch {name}Storage": getattr(torch, kind) for name, kind in _STORAGES.items()},
    }


def read_checkpoint(path):
    """What torch.save wrote: dicts, lists, plain values and tensors on the CPU, and in the place of
    all else `UNKNOWN`. Damage raises a DataError, or what Python says."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if zipfile.is_zipfile(file):
            return _zipped(file, size)
        file.seek(0)
        return _before_zip(file, size)


def _zipped(file, size):
    import torch

    with zipfile.ZipFile(file) as z:
        members = {m.filename.partition("/")[2]: m for m in z.infolist()}
        if "constants.pkl" in members:
            todo = "save the weights alone: torch.save(torch.jit.load(FILE).state_dict(), NEW)"
            raise DataError("is a TorchScript archive, a program, which is not run", todo=todo)
        if sum(m.file_size for m in members.values()) > size:
            raise DataError("is compressed, or damaged")
        for member in members.values():
            if not member.CRC:  # written without
                del member.CRC
        if "byteorder" in members and z.read(members["byteorder"]) != b"little":
            raise DataError("was written by another kind of machine")

        @functools.cache
        def numbers(dtype, key):
            content = bytearray(z.read(members[f"data/{key}"]))
            return torch.frombuffer(content, dtype=dtype) if content else torch.empty(0)

        def storage(word, dtype, key, *_):
            return numbers(dtype, key) if word == "storage" and dtype is not UNKNOWN else UNKNOWN

        return loads(z.read(members["data.pkl"]), storage)


def _before_zip(file, left):
    """PyTorch's format until 1.6: pickles, then the numbers that they name."""
    import torch

    there = {}

    def storage(word, dtype, key, _, count, *_more):
        nonlocal left
        if word == "storage" and key not in there:
            left -= count * dtype.itemsize
            if left < 0:
                raise DataError("is cut short")
            there[key] = torch.empty(count, dtype=dtype)
        return there.get(key, UNKNOWN)

    magic, _, system, found, keys = (loads(file, storage) for _ in range(5))
    if magic != _MAGIC or not system["little_endian"]:
        raise DataError("is no file of PyTorch, or of another kind of machine")
    for key in keys:
        numbers = there.pop(key).view(torch.uint8).numpy()
        file.seek(8, os.SEEK_CUR)  # their count, which the pickle has too
        if file.readinto(numbers) < numbers.nbytes:
            raise DataError("is cut short")
    return found
