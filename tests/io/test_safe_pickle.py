"""Pickled files are read as data: what numpy writes comes back, and nothing else is ever built."""

import contextlib
import functools
import io
import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lowlight_lib.data import isp_info
from lowlight_lib.errors import DataError, LowlightError
from lowlight_lib.io import pickles as safe_pickle

QUICK = settings(derandomize=True, deadline=None, max_examples=60)


def npy(pickled):
    """A .npy file of one object around a pickle."""
    f = io.BytesIO()
    np.save(f, np.array(None, object), allow_pickle=True)
    return f.getvalue()[: 10 + struct.unpack("<H", f.getvalue()[8:10])[0]] + pickled


def load(tmp_path, data):
    path = tmp_path / "1.npy"
    path.write_bytes(data)
    return safe_pickle.load_npy(path)


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
@given(objects, st.integers(0, 5))
def test_plain_data_come_back_as_they_were(thing, protocol):
    same(safe_pickle.loads(pickle.dumps(thing, protocol)), thing)


@QUICK
@given(st.dictionaries(st.text(max_size=4), arrays, max_size=3), st.integers(2, 4))
def test_the_old_spelling_of_numpy_is_read_as_well(thing, protocol):
    pickled = pickle.dumps(thing, protocol)
    for new, old in (
        (b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray"),
        (b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"),
    ):
        pickled = pickled.replace(new, old)
    assert b"_core" not in pickled
    same(safe_pickle.loads(pickled), thing)


@QUICK
@given(objects)
def test_files_of_np_save_come_back(thing):
    f = io.BytesIO()
    boxed = np.empty((), object)
    boxed[()] = thing
    np.save(f, boxed, allow_pickle=True)
    same(safe_pickle._read(f.getvalue()), thing)


def test_an_empty_numpy_string():
    same(safe_pickle.loads(pickle.dumps(np.str_(""))), np.str_(""))


def test_arrays_of_objects_and_plain_arrays(tmp_path):
    listed = np.array([{"a": 1}, None, [2]], object)
    np.save(tmp_path / "a.npy", listed, allow_pickle=True)
    assert safe_pickle.load_npy(tmp_path / "a.npy").tolist() == listed.tolist()
    plain = np.arange(6, dtype=">u2").reshape(2, 3, order="F")
    np.save(tmp_path / "b.npy", plain)
    same(safe_pickle.load_npy(tmp_path / "b.npy"), plain)
    python2 = b"\x80\x02}q\x01(U\x02wbq\x02K\x01U\x01cq\x03]q\x04(G?\xf8\x00\x00\x00\x00\x00\x00eu."
    assert safe_pickle.loads(python2) == {"wb": 1, "c": [1.5]}


# ---- hostile files


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def test_nothing_is_run(tmp_path):
    marker = tmp_path / "marker"
    evil = pickle.dumps({"wb": Calls(os.mkdir, str(marker))})
    pickle.loads(evil)
    assert marker.is_dir()  # this is what it does to those who trust it
    marker.rmdir()
    with pytest.raises(DataError, match=r"asks for .*mkdir") as e:
        load(tmp_path, npy(evil))
    assert not marker.exists() and "1.npy" in str(e.value)


def nested(open_, close, depth):
    return b"\x80\x04" + open_ * depth + close * depth + b"."


def doubled(times):
    """(x, x) of (x, x) of ...: a few bytes, 2^times values."""
    return b"\x80\x04K\x01" + b"2\x86" * times + b"."


HOSTILE = {
    "system": pickle.dumps(Calls(os.system, "exit 3")),
    "eval": pickle.dumps(Calls(eval, "1 / 0")),
    "exec of protocol 0": pickle.dumps(Calls(exec, "1 / 0"), 0),
    "partial": pickle.dumps(functools.partial(print, 1)),
    "numpy.load": pickle.dumps(Calls(np.load, "x.npy")),
    "numpy.fromfile": b"cnumpy\nfromfile\n(S'x'\ntR.",
    "ndarray of a terabyte": b"cnumpy\nndarray\n(I1000000000000\ntR.",
    "_reconstruct of another type": b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nmatrix\ntR.",
    "_reconstruct of nothing": b"cnumpy._core.multiarray\n_reconstruct\n(tR.",
    "copyreg": b"ccopyreg\n_reconstructor\n(cos\nPathLike\nc__builtin__\nobject\nNtR.",
    "copyreg of Python 2": b"ccopy_reg\n_reconstructor\n(c__builtin__\nobject\nc__builtin__\n"
    b"object\nNtR.",
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x11core.multiarray.os\x93)R.",
    "INST": b"(S'echo'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'echo'\no.",
    "NEWOBJ": pickle.dumps(Calls(object.__new__, object)),
    "an object": pickle.dumps(OSError("x")),
    "persistent": b"Pid\n.",
    "extension": b"\x80\x02\x82\x01.",
    "a set": pickle.dumps({1, 2}),
    "a long name": b"c" + b"x" * 100_000 + b"\ny\n(tR.",
    "empty strings without number": b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n"
    b"(I0\ntS'b'\ntR(I1\n(I1000000000000\ntcnumpy\ndtype\n(S'U0'\ntRI00\nS''\ntb.",
    "a function": pickle.dumps(os.getcwd),
    "a function in a list": pickle.dumps([os.getcwd]),
    "a call of a result": b"cnumpy\ndtype\n(S'f8'\ntR)R.",
    "a state for a function": b"cnumpy\ndtype\n}b.",
    "a state for a list": b"](I1\nI2\ntb.",
    "an array of dates": pickle.dumps(np.array(["2020-01-01"], "M8[D]")),
    "a structured array": pickle.dumps(np.zeros(2, [("a", "f4")])),
    "a huge dtype": b"cnumpy\ndtype\n(S'V999999999999'\ntR.",
    "an array of more than it holds": b"cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n"
    b"(S'f8'\ntRS'1234'\ntR.",
    "codecs": b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR.",
    "a string of a terabyte": b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"x.",
    "a bytearray of a terabyte": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",
    "a deep list": nested(b"]", b"a", 50_000),
    "a deep tuple": b"\x80\x04)" + b"\x85" * 50_000 + b".",
    "many by repetition": doubled(60),
    "a key to be hashed for ever": b"\x80\x04}K\x01" + b"2\x86" * 60 + b"K\x01s.",
    "a list in itself": b"]q\x002h\x00a.",
    "a value for nothing": b"K\x01K\x02K\x03s.",
    "no value": b".",
    "two values": b"K\x01K\x02.",
    "a mark": b"(.",
    "marks": b"((u.",
    "a lost memo": b"h\x07.",
    "no end": b"\x80\x04]",
    "nothing": b"",
}


@pytest.mark.parametrize("pickled", HOSTILE.values(), ids=HOSTILE)
def test_whatever_is_no_plain_data_is_refused(tmp_path, pickled):
    with pytest.raises(DataError) as e:
        load(tmp_path, npy(pickled))
    assert "1.npy" in str(e.value) and len(str(e.value)) < 500


def test_a_far_memo_costs_nothing():
    """The C unpickler makes room for all places up to the one named: here 32 GB."""
    assert safe_pickle.loads(b"\x80\x04K\x07r\xff\xff\xff\x7f.") == 7


def test_repeated_bytes_take_no_memory():
    """100 kB, named thousands of times: as arrays, and as text that has to be encoded."""
    import tracemalloc

    text = b"X" + struct.pack("<I", 100_000) + b"x" * 100_000 + b"q\x00"
    array = b"cnumpy._core.numeric\n_frombuffer\nq\x01(" + text.replace(b"X", b"B", 1)
    array += b"cnumpy\ndtype\n(S'u1'\ntR(J\xa0\x86\x01\x00tS'C'\ntq\x02R"
    codec = b"c_codecs\nencode\nq\x01(" + text + b"S'latin1'\ntq\x02R"
    many = {t: b"h\x01h\x02R" * t + b"t." for t in (400, 20_000)}
    tracemalloc.start()
    assert len(safe_pickle.loads(b"\x80\x02(" + array + many[400])) == 401
    for start in (array, codec):
        with pytest.raises(ValueError, match="more than 500 arrays"):
            safe_pickle.loads(b"\x80\x02(" + start + many[20_000])
    assert tracemalloc.get_traced_memory()[1] < 1e8
    tracemalloc.stop()


def test_large_missing_and_other_files(tmp_path):
    with pytest.raises(DataError, match="larger than"):
        load(tmp_path, npy(pickle.dumps(bytes(safe_pickle.LARGEST))))
    with pytest.raises(DataError, match=r"no \.npy file"):
        load(tmp_path, pickle.dumps(1))
    with pytest.raises(DataError, match=r"no \.npy file"):  # a terabyte, says its header
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }\n"
        load(tmp_path, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    with pytest.raises(DataError, match="is missing"):
        safe_pickle.load_npy(tmp_path / "none.npy")
    with pytest.raises(DataError, match="cannot be read"):
        safe_pickle.load_npy(tmp_path)


GOOD = npy(pickle.dumps(np.array({"wb": np.ones(4), "ccm": np.eye(3, dtype="f4")}, object), 4))


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.binary(max_size=3)), max_size=4),
       st.integers(0, len(GOOD)))  # fmt: skip
def test_damage_is_found_or_does_no_harm(tmp_path_factory, changes, end):
    data = bytearray(GOOD)
    for place, new in changes:
        data[place : place + len(new)] = new
    with contextlib.suppress(LowlightError):
        load(tmp_path_factory.getbasetemp(), bytes(data[:end] if end % 2 else data))


# ---- what is in ISP_info


def frame(tmp_path, **content):
    np.save(tmp_path / "1.npy", content, allow_pickle=True)
    return isp_info.read_frame(tmp_path / "1.npy")


CCM = np.array([[1.5, -0.3, -0.2], [-0.1, 1.2, -0.1], [0, -0.4, 1.4]])


@pytest.mark.parametrize(
    "content",
    [
        {"wb": np.array([2, 1, 1.5, 1.0]), "ccm": CCM},  # as published
        {"WB": [2, 0.5, 1.5, 1.5], "CCM": CCM.ravel().tolist()},
        {"white_balance": (2.0, 1.0, 1.5, 0.0), "cam2rgb": CCM[None]},
        {"gains": np.float32([[2, 1, 1.5]]), "color_matrix": CCM, "iso": 100},
        {"red_gain": 2.0, "blue_gain": np.float64(1.5), "ccm": CCM},
    ],
)
def test_gains_and_matrices_under_their_names(tmp_path, content):
    gains, ccm = frame(tmp_path, **content)
    assert gains.dtype == ccm.dtype == np.float32
    np.testing.assert_allclose(gains, [2, 1, 1.5])
    np.testing.assert_allclose(ccm, CCM, rtol=1e-6)


def test_what_is_not_understood_is_listed(tmp_path):
    np.testing.assert_array_equal(frame(tmp_path, wb=[2, 1, 1])[1], np.eye(3))
    for content, said in (
        ({"awb_mode": 1, "lens": "x"}, "its keys are 'awb_mode', 'lens'"),
        ({}, "its keys are none"),
        ({"wb": [1, 2]}, r"shape \(2,\)"),
        ({"wb": ["a", "b", "c"]}, "no array of numbers"),
        ({"wb": [1, np.nan, 1]}, "not finite"),
        ({"wb": [0, 1, 1]}, "not above 0"),
        ({"wb": [1, 1, 1], "ccm": np.eye(4)}, r"\(4, 4\)"),
    ):
        with pytest.raises(DataError, match=said):
            frame(tmp_path, **content)
    np.save(tmp_path / "1.npy", np.zeros(3))
    with pytest.raises(DataError, match="not a dict"):
        isp_info.read_frame(tmp_path / "1.npy")
