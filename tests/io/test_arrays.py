"""Arrays of other people, .npy and .npz: read, or one error that names the file. Nothing is run."""

import io
import os
import zipfile

import numpy as np
import pytest

from lowlight_lib.deploy.calibration import read_calibration
from lowlight_lib.errors import DataError, LowlightError, RawFileError
from lowlight_lib.evaluation.photos import read_prediction
from lowlight_lib.io.arrays import map_array, read_arrays
from lowlight_lib.restore.clip import open_raw_clip
from lowlight_lib.restore.still import open_mosaic

ARRAY = np.arange(24, dtype=np.uint16).reshape(4, 6)


def mosaic(path):
    return open_mosaic(path, 0, 100, "RGGB")


def raw_clip(path):
    return open_raw_clip(path, 0, 100)


def calibration(path):
    return read_calibration(path, "redi")


READERS = [read_arrays, map_array, mosaic, raw_clip, read_prediction, calibration]


def npy(header=None, data=None, version=(1, 0)):
    """The bytes of a .npy with this header, damaged or not."""
    if header is None:
        header = "{'descr': '<u2', 'fortran_order': False, 'shape': (4, 6), }"
    text = header if isinstance(header, bytes) else header.encode("latin1")
    size = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    data = ARRAY.tobytes() if data is None else data
    return b"\x93NUMPY" + bytes(version) + size + text + data


def npz(*members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("bomb",)


def pickled():
    buffer = io.BytesIO()
    np.save(buffer, np.array([Bomb()], object), allow_pickle=True)
    return buffer.getvalue()


HEADERS = [
    "{'descr': '<u2', 'fortran_order': False, 'shape': (10000000000, 6), }",
    "{'descr': '<u2', 'fortran_order': False, 'shape': (-4, -6), }",
    "{'descr': '<u2', 'fortran_order': False, 'shape': (1000000000000000000000000000, 6), }",
    "{'descr': '<u2', 'fortran_order': False, 'shape': (4, 7), }",
    "{'descr': '<U0', 'fortran_order': False, 'shape': (4, 6), }",
    "{'descr': 'O', 'fortran_order': False, 'shape': (4, 6), }",
    "{'descr': [('a', 'O')], 'fortran_order': False, 'shape': (4, 6), }",
    "{'descr': '<u2', 'fortran_order': 1, 'shape': (4, 6), }",
    "{'descr': '<u2', 'fortran_order': False, 'shape': [4, 6], }",
    "{'descr': '<u2', 'fortran_order': False, 'shape': (4, 6.5), }",
    "{'descr': '<u2', 'shape': (4, 6), }", "[]", "", "(" * 9000, "[" * 200, "{'a': ", "'''",
    "__import__('os').mkdir('bomb')", "9" * 5000, "\0", b"\xff\xfe", "{1: 2, None: 3}", "-" * 9000,
    "{'descr': '" + "u" * 9000 + "', 'fortran_order': False, 'shape': (4, 6), }", "1 if 1 else 2",
    "{'descr': ('<u2', (3,)), 'fortran_order': False, 'shape': (4, 6), }", "\n\t(", " " * 11000,
]  # fmt: skip
FILES = [npy(h) for h in HEADERS] + [npy(h, version=(2, 0)) for h in HEADERS[:5]]
FILES += [npy(version=v) for v in ((3, 0), (1, 1), (9, 9))] + [b"", b"\x93NUMPY", b"\x93NUMPY\1\0"]
FILES += [npy()[:n] for n in (9, 30, -1)] + [pickled(), npz(("a.npy", pickled()))]
FILES += [npz(("a.npy", b"")), npz(("a.npy", npy()[:-1])), npz(("a.txt", b"x")), npz()[:-3]]
FILES += [npz(("a.npy", npy()))[:-30], npz(("a.npy", npy().replace(b"\x93", b"\x92")))]


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_array_is_one_error(reader, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for n, data in enumerate(FILES):
        for name in (f"{n}.npy", f"{n}.npz"):
            (tmp_path / name).write_bytes(data)
            with pytest.raises(LowlightError, match=rf"{n}\.npy|{n}\.npz"):
                reader(tmp_path / name)
    assert not (tmp_path / "bomb").exists()


def test_arrays_come_as_numpy_reads_them(tmp_path):
    for a in (ARRAY, ARRAY.T, np.asfortranarray(ARRAY), ARRAY.astype(">f8"), ARRAY[0, 0]):
        np.save(tmp_path / "a.npy", a)
        np.savez_compressed(tmp_path / "a.npz", a=a, about="{}")
        for found in (read_arrays(tmp_path / "a.npy")[""], read_arrays(tmp_path / "a.npz")["a"]):
            np.testing.assert_array_equal(found, a)
            assert found.dtype == a.dtype and found.flags.writeable
        assert str(read_arrays(tmp_path / "a.npz")["about"]) == "{}"
        mapped = map_array(tmp_path / "a.npy")
        np.testing.assert_array_equal(mapped, a)
        assert not mapped.flags.writeable or not mapped.size
    np.save(tmp_path / "a.npy", np.zeros((0, 4)))
    assert (
        map_array(tmp_path / "a.npy").shape == read_arrays(tmp_path / "a.npy")[""].shape == (0, 4)
    )


def test_a_file_larger_than_memory_is_said_to_be(tmp_path):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({2**42},), }}"
    with open(tmp_path / "a.npy", "wb") as f:  # sparse: four terabytes that take no place
        f.write(npy(header, b""))
        try:
            f.truncate(2**42 + 4096)
        except OSError:
            pytest.skip("a file system without such files")
    with pytest.raises(DataError, match="does not fit into memory"):
        read_arrays(tmp_path / "a.npy")


@pytest.mark.parametrize("reader", READERS)
def test_places_that_are_no_files(reader, tmp_path):
    for name in ("none", "folder", "pipe"):
        path = tmp_path / f"{name}.npy"
        if name == "folder":
            path.mkdir()
        elif name == "pipe" and hasattr(os, "mkfifo"):
            os.mkfifo(path)
        with pytest.raises(LowlightError, match=rf"{name}\.npy"):
            reader(path)


def test_a_mosaic_in_an_npz(tmp_path):
    np.savez(tmp_path / "a.npz", mosaic=ARRAY)
    np.testing.assert_array_equal(mosaic(tmp_path / "a.npz").mosaic, ARRAY)
    np.savez(tmp_path / "a.npz", mosaic=ARRAY, other=ARRAY)
    with pytest.raises(RawFileError, match="holds the arrays mosaic, other, not one mosaic"):
        mosaic(tmp_path / "a.npz")


def fuzz(folder, count, seed):
    rng, found = np.random.default_rng(seed), {}
    whole = [npy(), npy(version=(2, 0)), npz(("a.npy", npy()), ("about.npy", npy()))]
    for n in range(count):
        data = bytearray(whole[n % 3])
        for _ in range(int(rng.integers(1, 5))):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
        path = folder / ("x.npz" if n % 3 == 2 else "x.npy")
        path.write_bytes(data[: len(data) if n % 5 else int(rng.integers(len(data)))])
        for reader in READERS:
            try:
                reader(path)
                kind = "result"
            except LowlightError:
                kind = "own error"
            found[kind] = found.get(kind, 0) + 1
    return found


def test_damaged_arrays_are_errors_or_arrays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fuzz(tmp_path, 150, seed=0)["own error"] > 300
    assert not (tmp_path / "bomb").exists()


@pytest.mark.slow
def test_many_damaged_arrays(tmp_path):
    print(fuzz(tmp_path, 20_000, seed=1))
