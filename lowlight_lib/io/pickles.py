"""Read a pickled object without unpickling: the instructions are interpreted as data.

A pickle is a small program that may call anything that can be imported, so opening one runs the
code of whoever wrote it. Here its opcodes are read by `pickletools` (which executes nothing), and
only those that build dicts, lists, tuples, strings and numbers are followed. What a pickle would
call is never looked up: the handful of names with which numpy describes its arrays are recognised
by their spelling, old (numpy.core) and new (numpy._core), and anything else is refused.
"""

from __future__ import annotations

import io
import pickletools
import re
import struct
import tokenize
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError

LARGEST = 2**18  # bytes; LLRVD's files hold 13 numbers
CALLS = 500  # arrays, their types, and numpy scalars, each of which may repeat all of the bytes
DEEPEST = 16  # containers in containers, so that nothing contains itself
MOST = 100_000  # values, counted each time they occur: a small pickle can repeat one very often

_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)|[US]\d{1,6}|O8?)")
_VALUES = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "BYTEARRAY8", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_WRONG = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, struct.error)
_WRONG += (SyntaxError, EOFError, MemoryError, RecursionError, tokenize.TokenError)  # of headers
_MARK = object()


class _Refused(ValueError):
    """Something that a file of plain data does not hold."""


@dataclass(eq=False)
class _Name:
    """A global that a pickle asks for; a spelling, never the thing itself."""

    text: str


@dataclass(eq=False)
class _Dtype:
    code: str
    order: str = "|"  # leave it as the code says

    def numpy(self):
        return np.dtype(np.dtype(self.code).newbyteorder(self.order).str)


@dataclass(eq=False)
class _Array:
    """An array whose state comes later, or has come; `value` once it is made."""

    state: tuple | None = None
    value: np.ndarray | None = None


def load_npy(path):
    """The object in a `.npy` file: what np.load(path, allow_pickle=True).item() gives, safely.

    Returns:
        Dicts, lists, tuples, strings, bytes, numbers, None, numpy scalars and read-only arrays; of
        an array without axes what it holds. A file that pickles nothing gives its array.
    Raises:
        DataError: it is no such file, or holds anything else; nothing of it has been run.
    """
    path = Path(path)
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
            raise _Refused(f"is larger than {LARGEST} bytes")
        return _read(data)
    except _Refused as e:
        raise DataError(f"{e}, so it was not read", file=path, todo=todo) from e
    except _WRONG as e:
        raise DataError(
            f"is no .npy file, or a damaged one ({e!s:.200})", file=path, todo=todo
        ) from e


def loads(data):
    """The object in a pickle, under the same rules.

    Raises:
        ValueError and its like for whatever is not plain data.
    """
    return _Finish().of(_interpret(data))


def _read(data):
    f = io.BytesIO(data)
    version = np.lib.format.read_magic(f)
    headers = {(1, 0): np.lib.format.read_array_header_1_0}
    read_header = headers.get(version, np.lib.format.read_array_header_2_0)
    shape, fortran, dtype = read_header(f)
    rest = data[f.tell() :]
    found = loads(rest) if dtype.hasobject else _array(rest, _Dtype(dtype.str), shape, fortran)
    return found.item() if isinstance(found, np.ndarray) and found.shape == () else found


def _interpret(data):
    """Follow the opcodes of plain data; arrays stay `_Array`."""
    stack, memo, calls = [], {}, 0
    for opcode, arg, _ in pickletools.genops(data):
        op = opcode.name
        if op in _VALUES:
            stack.append(bytes(arg) if op == "BYTEARRAY8" else arg)
        elif op in _CONSTANTS:
            stack.append(_CONSTANTS[op])
        elif op in ("PROTO", "FRAME", "STOP"):
            pass
        elif op == "MARK":
            stack.append(_MARK)
        elif op == "POP":
            stack.pop()
        elif op == "POP_MARK":
            _since_mark(stack)
        elif op in ("EMPTY_LIST", "EMPTY_DICT"):
            stack.append([] if op == "EMPTY_LIST" else {})
        elif op == "LIST":
            stack.append(_since_mark(stack))
        elif op == "TUPLE":
            stack.append(tuple(_since_mark(stack)))
        elif op in ("TUPLE1", "TUPLE2", "TUPLE3"):
            stack.append(tuple(_pop(stack, int(op[-1]))))
        elif op == "DICT":
            stack.append(_put({}, _since_mark(stack)))
        elif op in ("APPEND", "APPENDS"):
            items = _since_mark(stack) if op == "APPENDS" else _pop(stack, 1)
            _need(stack[-1], list).extend(items)
        elif op in ("SETITEM", "SETITEMS"):
            items = _since_mark(stack) if op == "SETITEMS" else _pop(stack, 2)
            _put(_need(stack[-1], dict), items)
        elif op in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if op == "MEMOIZE" else arg] = stack[-1]
        elif op in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[arg])
        elif op == "GLOBAL":
            stack.append(_Name(arg.replace(" ", ".")))
        elif op == "STACK_GLOBAL":
            stack.append(_Name(".".join(map(str, _pop(stack, 2)))))
        elif op == "REDUCE":
            calls += 1
            if calls > CALLS:
                raise _Refused(f"holds more than {CALLS} arrays and types")
            stack.append(_call(*_pop(stack, 2)))
        elif op == "BUILD":
            _set_state(stack[-2], stack.pop())
        else:
            raise _Refused(f"holds the instruction {op}, which plain data do not need")
    [result] = stack
    return result


def _pop(stack, n):
    if len(stack) < n or any(s is _MARK for s in stack[-n:]):
        raise ValueError("values are missing")
    items = stack[-n:]
    del stack[-n:]
    return items


def _since_mark(stack):
    items = []
    while (item := stack.pop()) is not _MARK:
        items.append(item)
    return items[::-1]


def _put(table, items):
    for key, value in zip(items[::2], items[1::2], strict=True):
        # Comparing or hashing anything deeper could take for ever.
        if not isinstance(key, str | bytes | int | float | None):
            raise _Refused(f"has a key that is a {type(key).__name__}")
        table[key] = value
    return table


def _need(value, kind):
    if type(value) is not kind:
        raise ValueError(f"a {kind.__name__} is expected, not a {type(value).__name__}")
    return value


def _call(name, args):
    """What one of numpy's own descriptions stands for; nothing is looked up, nothing is called."""
    if not isinstance(name, _Name):
        raise _Refused("calls something that it made itself")
    text = re.sub(r"^numpy\._?core\.(multiarray|numeric)\.", "numpy.", name.text)
    args = list(_need(args, tuple))
    if text == "numpy._reconstruct" and [getattr(args[0], "text", "")] == ["numpy.ndarray"]:
        return _Array()
    if text == "numpy._frombuffer":
        buffer, dtype, shape, order = args
        return _Array(value=_array(buffer, dtype, shape, order == "F"))
    if text == "numpy.scalar":
        dtype, buffer = args
        return _array(buffer, dtype, (), False)[()]
    if text == "numpy.dtype":
        code = _need(args[0], str)
        if not _DTYPE.fullmatch(code):
            raise _Refused(f"holds an array of {code!r:.80}")
        return _Dtype(code)
    if text == "_codecs.encode" and args[1:] in (["latin1"], ["latin-1"]):
        return _need(args[0], str).encode("latin1")  # bytes, as pickles before protocol 3 have them
    if text in ("__builtin__.bytes", "builtins.bytes") and not args:
        return b""
    raise _Refused(f"asks for {name.text:.80}")


def _set_state(thing, state):
    state = _need(state, tuple)
    if isinstance(thing, _Dtype) and state[1] in ("<", ">", "|", "=") and not any(state[2:5]):
        thing.order = state[1]
    elif isinstance(thing, _Array) and thing.state is None and thing.value is None:
        thing.state = state
    else:
        raise _Refused("changes something that is no plain array")


def _array(buffer, dtype, shape, fortran):
    """An array from its bytes, of which there have to be exactly as many as it needs."""
    kind = _need(dtype, _Dtype).numpy()
    if kind.hasobject or not _DTYPE.fullmatch(kind.str):
        raise _Refused(f"holds an array of {kind}")
    shape = tuple(_need(s, int) for s in _need(shape, tuple))
    # A pickle of Python 2 has bytes as text.
    buffer = buffer.encode("latin1") if isinstance(buffer, str) else bytes(_need(buffer, bytes))
    if not kind.itemsize and not buffer and shape == ():  # an empty string
        return np.zeros((), kind)
    flat = np.frombuffer(buffer, kind)  # no copy: arrays may share their bytes
    return flat.reshape(shape, order="F" if fortran else "C")


class _Finish:
    """Makes the arrays, and counts, so that what was built is of reasonable depth and size."""

    def __init__(self):
        self.left = MOST

    def of(self, value, depth=0):
        self.left -= 1
        if depth > DEEPEST or self.left < 0:
            raise _Refused("holds containers in containers without end")
        if isinstance(value, dict):
            return {k: self.of(v, depth + 1) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.of(v, depth + 1) for v in value)
        if isinstance(value, _Array):
            if value.value is None:
                value.value = self.made(value, depth)
            return value.value
        if isinstance(value, _Name | _Dtype) or value is _MARK:
            raise _Refused("holds a function or type")
        return value

    def made(self, array, depth):
        _, shape, dtype, fortran, content = _need(array.state, tuple)
        if not _need(dtype, _Dtype).code.endswith(("O", "O8")):
            return _array(content, dtype, shape, fortran)
        found = np.empty(len(_need(content, list)), object)
        found[:] = [None] * len(content)
        for i, item in enumerate(content):
            found[i] = self.of(item, depth + 1)
        return found.reshape(_need(shape, tuple), order="F" if fortran else "C")
