"""What holds of every data set: batches and their parts, splits, what is not there."""

import numpy as np
import pytest
from support import tiny

from lowlight_lib.data import DATASETS
from lowlight_lib.data.cache import ArrayCache
from lowlight_lib.errors import DataError, OptionError
from lowlight_lib.models import Task

TURNS = {"flips": (0.5, 0.5), "transpose": 0.5, "reverse": 0.5}
BATCH = {"seed": 3, "size": 5, "crop": 12, "frames": 4, **TURNS}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    tiny.make_sid(root, shape=(32, 40))
    tiny.make_llrvd(root, scenes=(1, 2), ratios=(100, 250), shape=(16, 20))
    tiny.make_smoid(root, scenes=(4, 5), shape=(14, 16))
    tiny.make_scenes(root)
    return tiny.make_photos(root)


TRAINED_ON = [name for name, dataset in DATASETS.items() if "train" in dataset.splits]
every_data_set = pytest.mark.parametrize("name", TRAINED_ON)


@every_data_set
def test_a_batch_is_a_function_of_seed_and_step(root, name):
    x, y = DATASETS[name](root, "train").prepare(progress=False).batch(5, **BATCH)
    data = DATASETS[name](root, "train")
    for step in (0, 9, 5):  # in another order, by another object
        again = data.batch(step, **BATCH)
    assert np.array_equal(x, again[0]) and np.array_equal(y, again[1])
    assert not np.array_equal(x, data.batch(6, **BATCH)[0])
    assert not np.array_equal(x, data.batch(5, **BATCH | {"seed": 4})[0])
    assert x.dtype == y.dtype == np.float32 and np.isfinite(x).all()
    lead, channels = (4,) if data.task is Task.RAW_VIDEO else (), data.task.channels
    assert x.shape == (5, *lead, channels, 12, 12)
    assert y.shape == (5, *lead, max(channels, 3), 12, 12)


@every_data_set
@pytest.mark.parametrize("world", [2, 3, 7])
def test_parts_of_a_batch_make_the_whole(root, name, world):
    data = DATASETS[name](root, "train")
    whole = data.batch(2, **BATCH)
    parts = [data.batch(2, **BATCH, part=(r, world)) for r in range(world)]
    for k in (0, 1):
        assert np.array_equal(np.concatenate([p[k] for p in parts]), whole[k])
    assert {len(p[0]) for p in parts} <= {5 // world, -(-5 // world)}


@every_data_set
def test_an_epoch_sees_every_item_once(root, name, monkeypatch):
    data, seen = DATASETS[name](root, "train"), []
    real = data._cut
    monkeypatch.setattr(data, "_cut", lambda i, *a: seen.append(i) or real(i, *a))
    for step in range(2 * len(data)):
        data.batch(step, **BATCH | {"size": 1})
    first, second = seen[: len(data)], seen[len(data) :]
    assert sorted(first) == sorted(second) == [*range(len(data))]


@every_data_set
def test_what_is_not_there(root, name, tmp_path):
    with pytest.raises(OptionError, match="no 'tests' split"):
        DATASETS[name](root, "tests")
    with pytest.raises(DataError, match=r"is not there|does not exist|no scene|no folder"):
        DATASETS[name](tmp_path, "train")
    data = DATASETS[name](root, "train")
    for change in ({"part": (2, 2)}, {"size": 0}, {"crop": 0}, {"frames": 0}):
        with pytest.raises(OptionError, match="no batch"):
            data.batch(0, **BATCH | change)


@pytest.mark.parametrize("name", ["sid", "pairs", "lol"])
def test_files_are_decoded_once_and_then_mapped(root, name, monkeypatch):
    DATASETS[name](root, "train").prepare(progress=False)
    monkeypatch.setattr(ArrayCache, "_build", lambda *_: pytest.fail("decoded again"))
    data = DATASETS[name](root, "train").prepare(progress=False)
    data.batch(0, **BATCH)
    stored = data.input(0).mosaic if name == "sid" else data._map(data.pairs[0].files[0])
    assert isinstance(stored, np.memmap)
