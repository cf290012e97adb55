"""Pickled files are read as data: what numpy writes comes back, and nothing else is ever built."""

import contextlib
import functools
import io
import os
import pathlib
import pickle
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lowlight_lib.errors import DataError
from lowlight_lib.io.pickles import LARGEST, load_npy, loads

QUICK = settings(derandomize=True, deadline=None, max_examples=60)


def npy(pickled):
    """A .npy file of one object around a pickle."""
    f = io.BytesIO()
    np.save(f, np.array(None, object), allow_pickle=True)
    return f.getvalue()[: 10 + struct.unpack("<H", f.getvalue()[8:10])[0]] + pickled


def load(folder, data):
    (folder / "1.npy").write_bytes(data)
    return load_npy(folder / "1.npy")


# ---- round trips

dtypes = st.one_of(
    hnp.boolean_dtypes(), hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(sizes=(16, 32, 64)), hnp.complex_number_dtypes(sizes=(64, 128)),
    hnp.unicode_string_dtypes(max_len=5), hnp.byte_string_dtypes(max_len=5),
)  # fmt: skip
arrays = hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**80), 2**80), st.floats(), st.text(max_size=5),
    st.binary(max_size=5), arrays, arrays.map(np.asfortranarray),
    arrays.filter(lambda a: a.size > 0).map(lambda a: a.flat[0]),
)  # fmt: skip
keys = st.one_of(st.text(max_size=3), st.integers(), st.binary(max_size=3))
objects = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
    ),
    max_leaves=8,
)


def same(a, b):
    """Equal in values and in types, dtypes and their byte order among them."""
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert (a.dtype, a.dtype.byteorder, a.shape) == (b.dtype, b.dtype.byteorder, b.shape)
    if isinstance(a, dict):
        assert list(a) == list(b)
        a, b = a.values(), b.values()
    elif not isinstance(a, list | tuple):
        return np.testing.assert_equal(a, b)
    for x, y in zip(a, b, strict=True):
        same(x, y)


@QUICK
@given(objects, st.integers(3, 4))  # the protocols of np.save
def test_plain_data_come_back_as_they_were(thing, protocol):
    same(loads(pickle.dumps(thing, protocol)), thing)


@QUICK
@given(st.dictionaries(st.text(max_size=4), arrays, max_size=3), st.integers(3, 4))
def test_the_old_spelling_of_numpy_is_read_as_well(thing, protocol):
    pickled = pickle.dumps(thing, protocol)
    if pickled[2:3] == b"\x95":  # without the frame, whose length the replacement would change
        pickled = pickled[:2] + pickled[11:]
    for new, old in (
        (b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray"),
        (b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"),
    ):
        pickled = pickled.replace(new, old)
    assert b"_core" not in pickled
    same(loads(pickled), thing)


@QUICK
@given(objects)
def test_files_of_np_save_come_back(tmp_path_factory, thing):
    path = tmp_path_factory.getbasetemp() / "saved.npy"
    boxed = np.empty((), object)
    boxed[()] = thing
    np.save(path, boxed, allow_pickle=True)
    same(load_npy(path), thing)


def test_odd_pickles_of_plain_data():
    same(loads(pickle.dumps(np.str_(""))), np.str_(""))
    assert loads(b"\x80\x04K\x07r\xff\xff\xff\x7f.") == 7  # memorised at place 2**31 - 1
    repeated = np.arange(3)
    same(loads(pickle.dumps({"a": repeated, "b": [repeated]})), {"a": repeated, "b": [repeated]})
    kinds = [np.ones(2, "<f4"), np.ones(2, ">f4"), np.ones(3, "<f4"), np.ones(3, ">f4")]
    same(loads(pickle.dumps(kinds)), kinds)


def test_arrays_of_objects_and_plain_arrays(tmp_path):
    listed = np.array([{"a": 1}, None, [2]], object)
    np.save(tmp_path / "a.npy", listed, allow_pickle=True)
    assert load_npy(tmp_path / "a.npy").tolist() == listed.tolist()
    plain = np.arange(6, dtype=">u2").reshape(2, 3, order="F")
    np.save(tmp_path / "b.npy", plain)
    same(load_npy(tmp_path / "b.npy"), plain)
    python2 = b"\x80\x02}q\x01(U\x02wbq\x02K\x01U\x01cq\x03]q\x04(G?\xf8\x00\x00\x00\x00\x00\x00eu."
    assert loads(python2) == {"wb": 1, "c": [1.5]}


# ---- hostile files


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def call(name, *args):
    """A pickle that calls what is named, with arguments that are pickled themselves."""
    return b"c" + name + b"\n(" + b"".join(args) + b"tR"


def p(value):
    """A string or number, without the head and end of a pickle."""
    pickled = pickle.dumps(value, 3)[2:-1]
    return pickled[: pickled.rindex(b"q\x00")] if isinstance(value, str | bytes) else pickled


CORE = b"numpy._core.multiarray\n"


def payloads(place):
    """Pickles that make a folder at `place`, in every way that a pickle can call something."""
    module, text = os.mkdir.__module__.encode(), b"\x8c" + bytes([len(str(place))])
    text += str(place).encode()
    return {
        "a call": pickle.dumps({"wb": Calls(os.mkdir, str(place))}),
        "a call of protocol 0": pickle.dumps(Calls(os.mkdir, str(place)), 0),
        "a dotted name": b"\x80\x04\x8c\x02os\x8c\x0dpath.os.mkdir\x93" + text + b"\x85R.",
        "a method": pickle.dumps(Calls(pathlib.Path.mkdir, place)),
        "INST": b"(" + text + b"i" + module + b"\nmkdir\n.",
        "OBJ": b"(c" + module + b"\nmkdir\n" + text + b"o.",
    }


@pytest.mark.parametrize("way", payloads("x"))
def test_nothing_is_run(tmp_path, way):
    canary = tmp_path / "canary"
    evil = payloads(canary)[way]
    pickle.loads(evil)
    assert canary.is_dir()  # this is what it does to those who trust it
    canary.rmdir()
    said = "the instruction" if way == "INST" else "asks for"
    with pytest.raises(DataError, match=rf"1\.npy: .*so it was not read \(.*{said} "):
        load(tmp_path, npy(evil))
    assert not canary.exists()


@pytest.mark.parametrize("name", [b"numpy\nndarray", b"numpy\ndtype", CORE + b"scalar"])
@pytest.mark.parametrize("attribute", ["__init__", "__setstate__", "__code__", "__defaults__"])
def test_a_pickle_changes_nothing_that_outlives_it(name, attribute):
    with contextlib.suppress(Exception):
        loads(b"c" + name + b"\n(N}" + p(attribute) + p(1) + b"stb.")
    thing = [np.ones(2), np.float32(1), b"x"]
    same(loads(pickle.dumps(thing)), thing)


def nested(open_, close, depth):
    return b"\x80\x04" + open_ * depth + close * depth + b"."


def doubled(times):
    """(x, x) of (x, x) of ...: a few bytes, 2^times values."""
    return b"K\x01" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(times))


TERA = p(10**12)
ARRAY = call(CORE + b"_reconstruct", b"cnumpy\nndarray\n", b")", p(b"b"))
HOSTILE = {
    "system": pickle.dumps(Calls(os.system, "exit 3")),
    "eval": pickle.dumps(Calls(eval, "1 / 0")),
    "exec of protocol 0": pickle.dumps(Calls(exec, "1 / 0"), 0),
    "partial": pickle.dumps(functools.partial(print, 1)),
    "numpy.load": pickle.dumps(Calls(np.load, "x.npy")),
    "numpy.fromfile": call(b"numpy\nfromfile", p("x")) + b".",
    "ndarray of a terabyte": call(b"numpy\nndarray", TERA) + b".",
    "_reconstruct of another type": call(CORE + b"_reconstruct", b"cnumpy\nmatrix\n") + b".",
    "_reconstruct of nothing": call(CORE + b"_reconstruct") + b".",
    "copyreg": call(b"copyreg\n_reconstructor", b"cos\nPathLike\nc__builtin__\nobject\nN") + b".",
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x11core.multiarray.os\x93)R.",
    "INST": b"(" + p("echo") + b"ios\nsystem\n.",
    "OBJ": b"(cos\nsystem\n" + p("echo") + b"o.",
    "NEWOBJ": pickle.dumps(Calls(object.__new__, object)),
    "an object": pickle.dumps(OSError("x")),
    "persistent": b"Pid\n.",
    "extension": b"\x80\x02\x82\x01.",
    "a set": pickle.dumps({1, 2}),
    "a long name": b"c" + b"x" * 100_000 + b"\ny\n(tR.",
    "empty strings without number": ARRAY
    + b"(K\x01(" + TERA + b"t" + call(b"numpy\ndtype", p("U0")) + b"\x89" + p(b"") + b"tb.",
    "a function": pickle.dumps(os.getcwd),
    "a function in a list": pickle.dumps([os.getcwd]),
    "a type that is known": pickle.dumps(np.ndarray),
    "a call of a result": call(b"numpy\ndtype", p("f8")) + b")R.",
    "a state for a function": b"cnumpy\ndtype\n}b.",
    "a state for a list": b"](K\x01K\x02tb.",
    "an array of dates": pickle.dumps(np.array(["2020-01-01"], "M8[D]")),
    "a structured array": pickle.dumps(np.zeros(2, [("a", "f4")])),
    "a huge dtype": call(b"numpy\ndtype", p("V999999999999")) + b".",
    "more than it holds": call(CORE + b"scalar", call(b"numpy\ndtype", p("f8")), p(b"1234")) + b".",
    "codecs": call(b"_codecs\nencode", p("x"), p("rot13")) + b".",
    "a string of a terabyte": b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"x.",
    "a bytearray of a terabyte": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",
    "a deep list": nested(b"]", b"a", 990),
    "a very deep list": nested(b"]", b"a", 50_000),
    "a deep tuple": b"\x80\x04)" + b"\x85" * 1900 + b".",
    "a deep tuple as a key": b"\x80\x04})" + b"\x85" * 1900 + b"K\x01s.",
    "many by repetition": doubled(60) + b".",
    "a key to be hashed for ever": b"}" + doubled(60) + b"K\x01s.",
    "a list in itself": b"]q\x00h\x00a.",
    "an array in itself": ARRAY
    + b"q\x00(K\x01)" + call(b"numpy\ndtype", p("O")) + b"\x89]h\x00atb.",
    "a tuple that a state hides": b"K\x01\x85Nbq\x00h\x00\x86.",
    "very many values": pickle.dumps(list(range(3000))),
    "a value for nothing": b"K\x01K\x02K\x03s.",
    "no value": b".",
    "a mark": b"(.",
    "marks": b"((u.",
    "a lost memo": b"h\x07.",
    "no end": b"\x80\x04]",
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("pickled", HOSTILE.values(), ids=HOSTILE)
def test_whatever_is_no_plain_data_is_refused(tmp_path, pickled):
    with pytest.raises(DataError, match=r"1\.npy: .{1,300} To fix: get it again"):
        load(tmp_path, npy(pickled))


def test_repeated_bytes_take_no_memory():
    """Arrays of 100 kB, whose bytes are named many times, share them."""
    content = b"B" + struct.pack("<I", 100_000) + b"x" * 100_000
    head = b"(" + content + b"q\x01" + call(b"numpy\ndtype", p("u1")) + b"q\x02"
    array = ARRAY + b"(K\x01J\xa0\x86\x01\x00\x85h\x02\x89h\x01tb"
    tracemalloc.start()
    with pytest.raises(DataError, match="a function, a type"):  # the second thing is a type
        loads(head + array * 100 + b"t.")
    with pytest.raises(DataError, match="more than 2000 instructions"):
        loads(head + array * 1000 + b"t.")
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_large_missing_and_other_files(tmp_path):
    with pytest.raises(DataError, match="larger than"):
        load(tmp_path, npy(pickle.dumps(bytes(LARGEST))))
    with pytest.raises(DataError, match=r"no \.npy file"):
        load(tmp_path, pickle.dumps(1))
    with pytest.raises(DataError, match=r"no \.npy file"):  # a terabyte, says its header
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }\n"
        load(tmp_path, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    with pytest.raises(DataError, match="does not exist"):
        load_npy(tmp_path / "none.npy")
    with pytest.raises(DataError, match="is a folder"):
        load_npy(tmp_path)


GOOD = pickle.dumps(np.array({"wb": np.ones(4), "ccm": np.eye(3, dtype="f4")}, object), 4)
EVIL = pickle.dumps([Calls(os.mkdir, "canary"), Calls(os.mkdir, b"canary"), np.ones(2)], 2)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    st.sampled_from([GOOD, EVIL]),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3)), max_size=4),
    st.integers(0, 400),
)
def test_damage_is_found_or_does_no_harm(tmp_path_factory, pickled, changes, end):
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    data = bytearray(npy(pickled))
    for place, new in changes:
        at = int(place * len(data))
        data[at : at + len(new)] = new
    with contextlib.chdir(folder), contextlib.suppress(DataError):
        load(folder, bytes(data[:end] if end % 2 else data))
    assert [p.name for p in folder.iterdir()] == ["1.npy"]
