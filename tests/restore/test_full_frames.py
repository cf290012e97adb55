"""Full frames, endless video and the data path: the same pictures with less memory and waiting."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
import torch
from support import tiny
from support.networks import demosaic

from lowlight_lib import models, recipes
from lowlight_lib.data.cache import ArrayCache
from lowlight_lib.data.llrvd_smoid import LlrvdDataset
from lowlight_lib.data.sid import SidDataset
from lowlight_lib.deploy.bitpacked.network import pack_network
from lowlight_lib.errors import OptionError, RawFileError, ShapeError
from lowlight_lib.evaluation import metrics
from lowlight_lib.models import with_spec
from lowlight_lib.restore import restore
from lowlight_lib.sensor import cfa, noise
from lowlight_lib.sensor.cameras import find_camera
from lowlight_lib.sensor.raw import write_dng
from lowlight_lib.training import checkpoint, train
from lowlight_lib.training.prefetch import Prefetcher

GB = 1e9


# ---------------------------------------------------------------------------------------------
# one picture, put together in its place


@pytest.mark.parametrize("name", list(cfa.BAYER))
@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiles_of_every_phase_and_turn_are_the_whole(name, orientation, make_raw):
    raw = make_raw((65, 98), name, orientation=orientation, white_balance=(2.0, 1.0, 1.5))
    whole = restore(raw, with_spec(demosaic, "redi"), amplification=1.0)
    tiled = restore(raw, with_spec(demosaic, "redi"), amplification=1.0, tile=32)
    assert np.array_equal(whole.image, tiled.image)
    assert tiled.image.flags.c_contiguous and tiled.image.dtype == np.float32
    assert whole.image.shape == ((98, 65, 3) if orientation > 4 else (65, 98, 3))


def test_the_networks_result_is_not_written_into(make_raw):
    """It may be the network's own buffer."""
    kept = torch.full((1, 3, 24, 32), 7.0)
    done = restore(make_raw(), with_spec(lambda x: kept, "sid"), amplification=1.0)
    assert done.image.max() == 1 and kept.min() == 7


@pytest.mark.parametrize("tile", [None, 32])
def test_a_network_that_changes_the_size_is_refused(tile, make_raw):
    with pytest.raises(ShapeError, match="the network made"):
        restore(make_raw((64, 64)), with_spec(lambda x: torch.zeros(1, 3, 7, 9), "sid"), tile=tile)


def test_no_room_for_the_picture_says_what_to_do(make_raw, monkeypatch):
    def full(*_):
        raise MemoryError

    raw = make_raw()
    monkeypatch.setattr(np, "empty", full)
    with pytest.raises(OptionError, match="--tile"):
        restore(raw, with_spec(demosaic, "sid"), amplification=1.0)


RESTORE = """
import sys
from lowlight_lib.cli import main as cli
from lowlight_lib.deploy.memory import resident_peak
try:
    cli.main(sys.argv[1:])
except SystemExit as e:
    if e.code:
        raise
print(resident_peak())
"""


def dark_dng(path, shape, camera, cell, orientation):
    """A night scene of a camera that the network does not know, made in strips."""
    camera = find_camera(camera)
    scene = tiny.picture(3, (512, 512))
    light = tiny.isp.undevelop(scene, camera)
    out = np.empty(shape, np.uint16)
    for top in range(0, shape[0], 512):
        n = min(512, shape[0] - top)
        part = np.tile(light[:n], (1, -(-shape[1] // 512)))[:, : shape[1]]
        out[top : top + n] = noise.expose(part, 100, camera, 1600, [top])
    fields = {k: getattr(camera, k) for k in ("black_level", "white_level", "white_balance",
                                              "color_matrix", "model")}  # fmt: skip
    write_dng(path, tiny.raw_of(out, cfa.from_name(cell), orientation=orientation, **fields))


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peaks as Linux counts them")
@pytest.mark.parametrize(
    "shape, tile, most", [((2848, 4256), None, 2 * GB), ((8736, 11648), 1024, 3 * GB)]
)
def test_full_frames_fit_into_memory(shape, tile, most, tmp_path, root):
    """Turned, of another phase and another camera: what needs the most. PNG writing included."""
    weights = root.parent / "shared/checkpoints/redi_sid_official.pth"
    if not weights.exists():  # random ones need as much
        torch.manual_seed(0)
        weights = tmp_path / "redi.safetensors"
        checkpoint.save(models.build("redi"), weights)
    dark_dng(tmp_path / "a.dng", shape, "nikon_d850", "BGGR", 6)
    call = ["restore", "a.dng", "-o", "out", "--checkpoint", str(weights)]
    call += [] if tile is None else ["--tile", str(tile)]
    done = subprocess.run(
        [sys.executable, "-c", RESTORE, *call],
        env=os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "2"},
        cwd=tmp_path, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said, peak = done.stdout.strip().splitlines()
    print(f"{said}\npeak {int(peak) / GB:.2f} GB")
    assert f"{shape[0]}x{shape[1]}" in said  # width x height of the turned picture
    assert int(peak) < most


@pytest.mark.slow
def test_seams_of_the_released_network_are_not_visible(shared):
    """Tiles of 1024 with REDI's halo of 256, against the whole picture."""
    network = checkpoint.load("redi", shared / "checkpoints/redi_sid_official.pth")
    light = tiny.isp.undevelop(tiny.picture(1, (1536, 2080)), tiny.CAMERA)
    raw = tiny.raw_of(noise.expose(light, 100, tiny.CAMERA, 1600, 0))
    whole, tiled = (restore(raw, network, amplification=100.0, tile=t).image for t in (None, 1024))
    between = metrics.psnr(whole, tiled)
    print(f"{between:.1f} dB")
    assert between >= 50


# ---------------------------------------------------------------------------------------------
# video


@pytest.mark.slow
def test_500_frames_of_video_need_no_more_memory_than_100():
    torch.manual_seed(0)
    stream = pack_network(models.build("brve").eval()).stream()
    rng, process, seconds, rss = torch.Generator().manual_seed(0), psutil.Process(), [], {}
    done = 0
    for n in range(1, 501):
        frame = torch.rand(4, 64, 64, generator=rng)
        began = time.perf_counter()
        done += len(stream.push(frame))
        seconds.append(time.perf_counter() - began)
        if n in (100, 500):
            rss[n] = process.memory_info().rss
    assert done + len(stream.close()) == 500
    first, last = np.median(seconds[10:110]), np.median(seconds[400:])  # reported, not asserted
    print(f"{1 / last:.1f} frames a second, the last hundred {last / first:.2f} times as long as "
          f"the first; {(rss[500] - rss[100]) / 1e6:+.2f} MB")  # fmt: skip
    assert rss[500] - rss[100] < 4e6


@pytest.mark.slow
def test_a_trained_clip_is_as_good_with_bits(tmp_path):
    """Signs near 0 fall either way; over a whole clip that costs nothing."""
    tiny.make_llrvd(tmp_path, scenes=(1, 2, 3, 35), shape=(48, 64), frames=8)
    short = recipes.find("brve", "course").replace(
        steps=150, crop=32, frames=3, options={"channels": 8}
    )
    done = train.fit(short, tmp_path, tmp_path / "run", progress=False)
    network = checkpoint.load("brve", done.checkpoint)
    data = LlrvdDataset(tmp_path, "test")
    x, target = torch.from_numpy(data.input(1)), torch.from_numpy(data.target(1))
    with torch.inference_mode():
        eager = network(x)
    scores = [
        metrics.psnr(y.clamp(0, 1).numpy(), target.numpy())
        for y in (x, eager, pack_network(network)(x))
    ]
    print("input, eager, bits:", scores)
    assert scores[1] > scores[0] + 1  # it has learned something
    assert abs(scores[2] - scores[1]) < 0.02


# ---------------------------------------------------------------------------------------------
# the data path


def test_decoding_on_all_cores_gives_the_same_bytes(tmp_path, monkeypatch):
    tiny.make_sid(tmp_path)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("LibRaw hangs after this"), raising=False)
    monkeypatch.setenv("LOWLIGHT_CACHE", str(tmp_path / "many"))
    SidDataset(tmp_path, "train").prepare(progress=False)
    monkeypatch.setenv("LOWLIGHT_CACHE", str(tmp_path / "one"))
    alone = SidDataset(tmp_path, "train")
    for i in range(len(alone)):
        alone.input(i), alone.target(i)
    made = [
        {p.relative_to(tmp_path / f): p.read_bytes() for p in (tmp_path / f).rglob("*.*")}
        for f in ("many", "one")
    ]
    assert made[0] == made[1] and len(made[0]) == 4 * len(alone)


def test_headers_are_read_by_one_thread_at_a_time(tmp_path, monkeypatch):
    """Python 3.11's parser, which reads them, failed in two threads now and then."""
    files = [tmp_path / f"{i}.raw" for i in range(12)]
    for f in files:
        f.write_bytes(b"x")
    inside, load = [], np.lib.format.read_array_header_1_0

    def watched(*args, **kwargs):
        inside.append(len(inside))
        time.sleep(0.005)
        found = load(*args, **kwargs)
        most.append(len(inside))
        inside.pop()
        return found

    most = []
    monkeypatch.setattr(np.lib.format, "read_array_header_1_0", watched)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    store = ArrayCache(tmp_path)
    store.fill([(f, "array", lambda _: (np.zeros(3), {})) for f in files], progress=False)
    assert len(most) >= len(files) and max(most) == 1


def test_an_error_on_the_way_stops_the_rest_and_is_gone_on_from(tmp_path, monkeypatch):
    sources = [tmp_path / f"{i:02d}.bin" for i in range(30)]
    for path in sources:
        path.write_bytes(b"1")
    bad, made, lock = sources[3], [], threading.Lock()

    def make(path):
        with lock:
            made.append(path)
        if path == bad:
            raise RawFileError("is damaged", file=path)
        time.sleep(0.01)
        return np.zeros(3), {}

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    store = ArrayCache(tmp_path)
    wanted = [(path, "raw", make) for path in sources for _ in "twice"]
    with pytest.raises(RawFileError, match=r"03\.bin"):
        store.fill(wanted, progress=False)
    assert len(made) == len(set(made)) < 30  # the rest was not begun
    assert not list(store.folder.glob(".*"))
    there, bad = len(list(store.folder.glob("*.npy"))), None
    store.fill(wanted, progress=False)
    assert len(made) == 1 + 30 and there > 0  # 03 once more, all others once


def test_the_next_batch_is_made_while_the_network_works():
    made = {n: threading.Event() for n in range(4)}

    def make(step):
        if step == 3:
            raise RawFileError("is damaged", file="a.dng")
        made[step].set()
        return step

    seen = []
    with pytest.raises(RawFileError, match=r"a\.dng"), Prefetcher(make, range(4)) as batches:
        for step, batch in batches:
            assert step == batch
            assert step == 2 or made[step + 1].wait(10)  # ... while we have this one
            seen.append(step)
    assert seen == [0, 1, 2]


def test_training_says_how_long_it_waited(tmp_path):
    tiny.make_sid(tmp_path)
    short = recipes.find("redi", "smoke").replace(crop=32, steps=4)
    train.fit(short, tmp_path, tmp_path / "run", progress=False)
    waited = [e["waited"] for e in train.read_metrics(tmp_path / "run")]
    assert len(waited) == 2 and all(0 <= w <= 1 for w in waited)
