"""List files and cache notes that somebody, or a disk, has written wrong."""

import json

import numpy as np
import pytest
from support import tiny

from lowlight_lib.data.llrvd_smoid import LlrvdDataset
from lowlight_lib.data.sid import SidDataset, read_list
from lowlight_lib.errors import DataError

GOOD = "./Sony/short/00001_00_0.04s.ARW ./Sony/long/00001_00_10s.ARW ISO200 F8"


@pytest.mark.parametrize(
    "line",
    [
        GOOD.replace("short/", "short/" + "x" * 300), GOOD.replace("short/", "é" * 200 + "/"),
        GOOD.replace("00001", "1" * 5000), GOOD.replace("_00_", f"_{'0' * 5000}_"),
        GOOD.replace("0.04s", "9" * 400 + "s"), GOOD.replace("10s", "0." + "1" * 400 + "s"),
        GOOD.replace("short/", "sh\0ort/"), "\0" * 5000, "x " * 100_000,
    ],
)  # fmt: skip
def test_lines_that_name_no_file(line, tmp_path):
    path = tmp_path / "Sony_train_list.txt"
    path.write_text(f"{GOOD}\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"Sony_train_list\.txt: line 2") as caught:
        read_list(path, tmp_path)
    assert len(str(caught.value)) < 1000


def test_random_lists_are_lists_or_errors(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "Sony_train_list.txt"
    for _ in range(300):
        data = bytearray((GOOD + "\r\n" + GOOD).encode())
        for _ in range(int(rng.integers(1, 4))):
            i = int(rng.integers(len(data)))
            data[i : i + int(rng.integers(2))] = rng.bytes(int(rng.integers(3)))
        path.write_bytes(data)
        try:
            for pair in read_list(path, tmp_path):
                assert 0 < pair.ratio <= 300 and not pair.input.is_file()
        except DataError as e:
            assert "Sony_train_list.txt" in str(e)


NOTES = [5, None, [], "x", {}, {"cfa": 1}, {"white_level": "x"}, {"black_level": [[1, 2], [3]]}]
NOTES += [{"orientation": 1, "other": 2}, {"color_matrix": [1, 2]}, {"black_level": None}]


@pytest.mark.parametrize("note", NOTES)
def test_a_cache_note_of_another_kind(note, tmp_path):
    tiny.make_sid(tmp_path)
    first = SidDataset(tmp_path, "train").input(0)
    path = next((tmp_path / "cache").rglob("*mosaic.json"))
    whole = json.loads(path.read_text())
    for written in (note, whole | {"notes": note}, whole | {"stat": note}, whole | {"shape": note}):
        path.write_text(json.dumps(written))
        try:
            np.testing.assert_array_equal(
                SidDataset(tmp_path, "train").input(0).mosaic, first.mosaic
            )
        except DataError as e:
            assert "damaged note" in str(e)
    path.write_text("[" * 100_000)
    assert SidDataset(tmp_path, "train").input(0).model == first.model


def test_a_data_set_of_normalised_clips(tmp_path):
    tiny.make_llrvd(tmp_path)
    path = next(tmp_path.rglob("lq.npy"))
    clip = np.load(path)
    np.save(path, (clip / 15360).astype(np.float32))
    data = LlrvdDataset(tmp_path, "train")
    with pytest.raises(DataError, match="no DN"):
        for i in range(len(data)):
            data.input(i)
