"""Downloads against a server of our own that gives, cuts, lies, stalls and forgets."""

import errno
import hashlib
import importlib.util
import re
import threading
import zipfile
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pooch
import pytest
import requests
from support import tiny

from lowlight_lib.errors import DataError, OptionError, OutputError
from lowlight_lib.io import downloads
from lowlight_lib.io.downloads import (
    CHUNK,
    TRIES,
    Item,
    fetch,
    fetch_all,
    human,
    read_manifest,
    unpack,
)

CONTENT = bytes(range(256)) * 1024
SIZE = len(CONTENT)
CUT = 150_000  # where the connections break
KEPT = CUT // CHUNK * CHUNK  # and what of that has been written
WRONG = CONTENT[::-1]  # of the right size
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUIET = {"progress": False, "timeout": 5}


class Handler(BaseHTTPRequestHandler):
    """The first part of the path says how to answer; server.seen keeps (path, Range)."""

    def do_GET(self):
        kind, asked = self.path.split("/")[1], self.headers.get("Range")
        first = self.path not in [path for path, _ in self.server.seen]
        self.server.seen.append((self.path, asked))
        body = WRONG if kind == "wrong" else CONTENT
        start = int(re.fullmatch(r"bytes=(\d+)-", asked or "bytes=0-")[1])
        if kind == "missing":
            return self.send_error(404)
        if kind == "slow":
            return self.server.stop.wait(20)  # says nothing at all until the test ends
        if kind == "page":
            return self.answer(200, b"<html>confirm</html>", [("Content-Type", "text/html")])
        if kind in ("short", "endless", "empty"):
            body = {"short": CONTENT[:-1], "endless": CONTENT + b"x", "empty": b""}[kind]
            return self.answer(200, body, announce=kind == "short")
        if kind == "moved":
            return self.answer(302, b"", [("Location", self.path.replace("moved", "good"))])
        if start and kind not in ("norange", "stub"):
            if start >= len(body):
                return self.answer(416, b"", [("Content-Range", f"bytes */{len(body)}")])
            begin = {"liar": 0, "gap": start + 1000}.get(kind, start)
            span = [("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")]
            return self.answer(206, body[begin:], span)
        cut = kind == "stub" or (kind in ("cut", "stall") and first)
        self.answer(200, body, keep=CUT if cut else None)
        if kind == "stall":
            self.server.stop.wait(20)

    def answer(self, status, body, headers=(), keep=None, announce=True):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if announce:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:keep])  # HTTP/1.0: the connection closes after it

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as s:
        s.seen, s.stop = [], threading.Event()
        s.url = f"http://127.0.0.1:{s.server_port}"
        threading.Thread(target=s.serve_forever, args=(0.01,), daemon=True).start()
        yield s
        s.stop.set()
        s.shutdown()


@pytest.fixture
def part(tmp_path):
    """Where the beginning of a/file.bin lies."""
    (tmp_path / "a").mkdir()
    return tmp_path / "a/file.bin.part"


def item(server, *kinds, name="a/file.bin", sha256=SHA256, size=SIZE, **more):
    urls = [f"{server.url}/{kind}/file.bin" for kind in kinds]
    return Item(name, "free", urls, size, sha256, **more)


def files(root):
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


# ---- good answers


@pytest.mark.parametrize("kind", ["good", "moved"])
def test_a_file_comes_whole_and_only_once(server, tmp_path, kind):
    what = item(server, kind)
    assert f"fetched from {server.url}/{kind}" in fetch(what, tmp_path, **QUIET)
    assert (tmp_path / "a/file.bin").read_bytes() == CONTENT
    assert files(tmp_path) == ["a/file.bin"]
    asked = len(server.seen)
    assert fetch(what, tmp_path, **QUIET) == "is there, 262kB, verified"
    assert len(server.seen) == asked


def test_a_hash_that_nobody_published_is_said(server, tmp_path):
    unknown = item(server, "good", sha256=None, size=None)
    for done in ("fetched from", "is there"):
        said = fetch(unknown, tmp_path, **QUIET)
        assert said.startswith(done) and said.endswith("262kB, and nobody published its hash")


def test_a_bar_shows_how_far_it_is(server, tmp_path, capsys):
    fetch(item(server, "good"), tmp_path, timeout=5)
    assert "100%" in capsys.readouterr().err


# ---- broken connections


@pytest.mark.parametrize("kind", ["cut", "stall"])
def test_a_broken_connection_goes_on_where_it_broke(server, tmp_path, kind):
    fetch(item(server, kind), tmp_path, progress=False, timeout=(5, 0.3))
    assert (tmp_path / "a/file.bin").read_bytes() == CONTENT
    assert [asked for _, asked in server.seen] == [None, f"bytes={KEPT}-"]
    assert files(tmp_path) == ["a/file.bin"]


def test_an_interrupted_run_is_continued_by_the_next_one_and_by_another_mirror(server, tmp_path):
    with pytest.raises(DataError, match="what came so far is kept"):
        fetch(item(server, "stub"), tmp_path, **QUIET)  # breaks at the same place again and again
    assert len(server.seen) == TRIES
    assert (tmp_path / "a/file.bin.part").read_bytes() == CONTENT[:KEPT]
    assert not (tmp_path / "a/file.bin").exists()
    server.seen.clear()
    fetch(item(server, "moved"), tmp_path, **QUIET)
    assert server.seen[-1] == ("/good/file.bin", f"bytes={KEPT}-")
    assert (tmp_path / "a/file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["norange", "liar"])
def test_a_server_that_does_not_continue_sends_all_of_it_again(server, tmp_path, part, kind):
    part.write_bytes(CONTENT[:CUT])
    fetch(item(server, kind), tmp_path, **QUIET)
    assert (tmp_path / "a/file.bin").read_bytes() == CONTENT
    assert server.seen[0][1] == f"bytes={CUT}-"


@pytest.mark.parametrize("size", [SIZE, None])
@pytest.mark.parametrize("begin", [CONTENT, CONTENT + b"more", b""], ids=["all", "more", "nothing"])
def test_a_part_of_any_length_ends_well(server, tmp_path, part, begin, size):
    part.write_bytes(begin)
    fetch(item(server, "good", size=size), tmp_path, **QUIET)
    assert (tmp_path / "a/file.bin").read_bytes() == CONTENT
    assert files(tmp_path) == ["a/file.bin"]
    assert size is None or len(server.seen) == {CONTENT: 0, b"": 1}.get(begin, 2)


def test_a_part_of_another_file_is_found_out_and_dropped(server, tmp_path, part):
    part.write_bytes(WRONG[:CUT])
    fetch(item(server, "good", "norange"), tmp_path, **QUIET)
    assert (tmp_path / "a/file.bin").read_bytes() == CONTENT
    assert [asked for _, asked in server.seen] == [f"bytes={CUT}-", None]


def test_a_web_page_in_the_way_costs_nothing_of_what_came(server, tmp_path, part):
    part.write_bytes(CONTENT[:CUT])
    fetch(item(server, "page", "missing", "good"), tmp_path, **QUIET)
    assert [asked for _, asked in server.seen] == [f"bytes={CUT}-"] * 3


# ---- wrong answers

NOT_IT = f"is not the published file: expected {SIZE} bytes, sha256 {SHA256}"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "answered HTTP 404"),
        ("short", f"{NOT_IT}; found {SIZE - 1}"),
        ("endless", f"{NOT_IT}; found {SIZE + 1}"),
        ("empty", f"{NOT_IT}; found 0"),
        ("page", "answered HTTP 200 with text/html instead of the file"),
        ("wrong", f"{NOT_IT}; found {SIZE}, {hashlib.sha256(WRONG).hexdigest()}"),
        ("stub", "cannot be reached, or broke off"),
    ],
)
def test_what_is_not_the_published_file_never_gets_its_name(server, tmp_path, kind, words):
    with pytest.raises(DataError, match=f"/{kind}/file.bin {words}"):
        fetch(item(server, kind, name="alone"), tmp_path, **QUIET)
    assert files(tmp_path) == (["alone.part"] if kind == "stub" else [])
    assert "/good/" in fetch(item(server, kind, "good"), tmp_path, **QUIET)
    assert (tmp_path / "a/file.bin").read_bytes() == CONTENT


def test_an_answer_that_begins_later_is_not_taken(server, tmp_path, part):
    """With no hash to find it out, the hole would be zeros."""
    part.write_bytes(CONTENT[:1000])
    with pytest.raises(DataError, match="answered from byte 2000 on instead of 1000"):
        fetch(item(server, "gap", sha256=None, size=None), tmp_path, **QUIET)
    assert part.read_bytes() == CONTENT[:1000]


def test_a_silent_mirror_is_given_up(server, tmp_path):
    with pytest.raises(DataError, match=r"slow/file\.bin cannot be reached.*ReadTimeout"):
        fetch(item(server, "slow", "missing"), tmp_path, progress=False, timeout=(5, 0.1))
    asked = [path.split("/")[1] for path, _ in server.seen]
    assert asked == ["slow", "missing"] + ["slow"] * (TRIES - 1)


def test_a_mirror_that_is_not_there_says_so(server, tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        url = f"http://127.0.0.1:{closed.server_port}/x"
    dead = Item("x", "free", [url], by_hand="save it as {target}")
    with pytest.raises(DataError, match="cannot be reached") as e:
        fetch(dead, tmp_path, **QUIET)
    assert e.value.todo == f"save it as {tmp_path / 'x'}"


def test_another_file_of_that_name_is_left_alone(server, tmp_path):
    (tmp_path / "mine").write_bytes(b"mine")
    with pytest.raises(DataError, match=f"{NOT_IT}; found 4"):
        fetch(item(server, "good", name="mine"), tmp_path, **QUIET)
    assert (tmp_path / "mine").read_bytes() == b"mine"
    assert not server.seen


# ---- disks


def test_a_full_disk_is_said_before_anything_is_fetched(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")(1000)
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OutputError, match=r"file\.bin\.part: cannot be written \(no space left"):
        fetch(item(server, "good"), tmp_path, **QUIET)
    assert not server.seen


def test_a_disk_that_fills_up_on_the_way(server, tmp_path, monkeypatch):
    def full(self, size):
        yield CONTENT[:CUT]
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(requests.Response, "iter_content", full)
        with pytest.raises(
            OutputError, match=r"file\.bin\.part: cannot be written \(no space left"
        ):
            fetch(item(server, "good", "good"), tmp_path, **QUIET)
    assert not (tmp_path / "a/file.bin").exists()
    fetch(item(server, "good"), tmp_path, **QUIET)
    asked = [None, f"bytes={CUT}-"]  # the second mirror was not asked
    assert server.seen == [("/good/file.bin", how) for how in asked]


def test_a_place_that_cannot_be_written(server, tmp_path):
    (tmp_path / "a").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match="cannot be written"):
        fetch(item(server, "good"), tmp_path, **QUIET)


# ---- many files


def test_licences_are_said_first_and_what_failed_is_counted(server, tmp_path, capsys):
    by_hand = Item("c", "ask them", by_hand="Go there, put it at {target}")
    items = [item(server, "good"), item(server, "missing", name="b"), by_hand]
    assert fetch_all(items, tmp_path, **QUIET) == 2
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["Licence of a/file.bin, b: free", "Licence of c: ask them"]
    assert "verified" in said[2]
    assert said[3].startswith("error: ") and "HTTP 404" in said[3]
    assert f"Go there, put it at {tmp_path / 'c'}" in said[4]
    (tmp_path / "c").write_bytes(b"got")
    assert fetch_all([by_hand], tmp_path) == 0


def test_mirrors_of_the_user_come_first(server, tmp_path):
    items, mirror = [item(server, "missing"), Item("SID/file.bin", "free")], f"{server.url}/good/"
    assert fetch_all(items, tmp_path, mirrors=[mirror], **QUIET) == 0
    assert {path for path, _ in server.seen} == {"/good/file.bin"}


def test_a_dry_run_touches_nothing(server, tmp_path, capsys):
    items = [item(server, "good", "wrong"), Item("b", "ask", about="about 25 GB")]
    assert fetch_all(items, tmp_path / "new", dry_run=True) == 0
    text = capsys.readouterr().out
    assert "file.bin (262kB) would be fetched" in text
    assert f"    {server.url}/good/file.bin\n    {server.url}/wrong/file.bin\n" in text
    assert "b (about 25 GB) is got by hand" in text
    assert "Licence of a/file.bin: free" in text and "Licence of b: ask" in text
    assert not (tmp_path / "new").exists() and not server.seen


# ---- manifests


def test_the_manifests_of_the_project(root):
    for path in sorted((root / "data_scripts/manifests").glob("*.toml")):
        items = read_manifest(path)
        assert len({i.name for i in items}) == len(items)
        for i in items:
            assert i.licence and (i.urls or i.by_hand)
            assert re.fullmatch(r"\w+(/[\w.-]+)*|[\w.]+", i.name) and ".." not in i.name
            assert all(u.startswith("https://") for u in i.urls)
            assert re.fullmatch("[0-9a-f]{64}", i.sha256 or 64 * "0")
            assert "{" not in i.by_hand.format(target="x")


def test_weights_in_the_manifest_are_the_released_ones(root, shared):
    items = {i.name: i for i in read_manifest(root / "data_scripts/manifests/weights.toml")}
    for name, file in (("redi.pth", "redi_sid"), ("pairlie.pth", "pairlie")):
        path = shared / "checkpoints" / f"{file}_official.pth"
        assert items[name].size == path.stat().st_size
        assert items[name].sha256 == pooch.file_hash(str(path))


def test_sizes_for_people():
    assert [human(n) for n in (12, 133675, 25e9)] == ["12.0B", "134kB", "25.0GB"]


# ---- archives


def archive_of(folder, path, top="Sony"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for p in sorted((folder / "Sony").rglob("*.dng")):
            z.write(p, f"{top}/{p.relative_to(folder / 'Sony').as_posix()}")
        z.writestr("__MACOSX/Sony/short/._x.ARW", "rubbish")
        z.writestr("../../Sony/readme.txt", "no image")
    return path


def test_unpacking_goes_on_and_finds_damage(tmp_path):
    real = tiny.make_sid(tmp_path / "real")
    archive = archive_of(real, tmp_path / "Sony.zip")
    out, folders = tmp_path / "SID", ["Sony/short", "Sony/long"]
    out.mkdir()
    assert unpack(archive, out, folders) == 6
    one = out / "Sony/short/00001_00_0.1s.dng"
    one.write_bytes(b"cut")
    assert unpack(archive, out, folders) == 1
    assert one.read_bytes() == (real / "Sony/short" / one.name).read_bytes()
    whole = archive.read_bytes()
    for damaged in (whole[:-1000], whole[:400] + b"\xff" * 400 + whole[800:]):
        archive.write_bytes(damaged)
        (out / "Sony/long/00001_00_10s.dng").unlink(missing_ok=True)  # the first in the archive
        with pytest.raises(DataError, match="damaged"):
            unpack(archive, out, folders)
        assert not (out / "Sony/long/00001_00_10s.dng").exists()


def test_whatever_a_broken_archive_raises_is_said(tmp_path):
    """Bytes changed in archives of every compression, and one that is encrypted."""
    (out := tmp_path / "SID").mkdir()
    rng, kinds = np.random.default_rng(0), [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_STORED]
    for i in range(200):
        archive = tmp_path / "a.zip"
        with zipfile.ZipFile(archive, "w", kinds[i % 3]) as z:
            z.writestr("Sony/short/a.ARW", CONTENT[:3000])
        data = bytearray(archive.read_bytes())
        if i < 3:
            data[6] |= 1  # encrypted, says the flag, which stands twice
            data[data.index(b"PK\1\2") + 8] |= 1
        else:
            data[rng.integers(len(data))] = rng.integers(256)
        archive.write_bytes(data)
        try:
            unpack(archive, out, ["Sony/short"])
        except DataError as e:
            assert "a.zip" in str(e)
            continue
        [found] = (out / "Sony/short").iterdir()
        assert found.read_bytes() == CONTENT[:3000]
        found.unlink()


def test_a_bomb_and_a_missing_archive(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "LARGEST", 1000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("Sony/short/a", bytes(1001))
    with pytest.raises(DataError, match=r"a\.zip.*1001 bytes"):
        unpack(tmp_path / "a.zip", tmp_path, ["Sony/short"])
    with pytest.raises(DataError, match=r"b\.zip"):
        unpack(tmp_path / "b.zip", tmp_path, ["Sony/short"])


ENTRY = "licence = 'free'\n[[file]]\nname = 'a/b.pth'\n"


@pytest.mark.parametrize("text", [
    "size = 'x'", "size = -1", "size = 1.5", "size = true", "urls = 'https://x'", "urls = [1]",
    "urls = 5", "sha256 = 'ab'", "sha256 = 5", "about = 5", "by_hand = []", "licence = 5",
    "colour = 'x'", "size = ", "name = 'a'", "[[file]]", "[[file]]\nname = '../a'",
    "[[file]]\nname = '/a'", "[[file]]\nname = 5", "[[file]]\nname = ''",
    "[[file]]\nname = 'a\\..\\b'", "x = " + "[" * 5000, "\xff",
])  # fmt: skip
def test_a_manifest_is_checked(tmp_path, text):
    path = tmp_path / "m.toml"
    path.write_bytes((ENTRY + text).encode("latin1"))
    with pytest.raises(DataError, match=r"m\.toml: is no manifest"):
        read_manifest(path)
    for other in ("", "file = 5", "licence = 'x'\nfile = [5]", "[[file]]\nname = 'a'"):
        path.write_text(other)
        with pytest.raises(DataError, match=r"m\.toml: is no manifest"):
            read_manifest(path)


@pytest.mark.parametrize(
    "name",
    [
        "../Sony/short/a",
        "/Sony/short/a",
        "Sony/short/../../../a",
        "Sony/short/..",
        "Sony/short/C:a",
        "else/a",
    ],
)
def test_nothing_is_unpacked_to_another_place(tmp_path, name):
    out = tmp_path / "deep/in/SID"
    out.mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as z:
        z.writestr(name, "x")
    if name.endswith("Sony/short/a"):
        assert unpack(tmp_path / "a.zip", out, ["Sony/short"]) == 1
        assert files(out) == ["Sony/short/a"]
    else:
        with pytest.raises(DataError, match="holds no Sony/short"):
            unpack(tmp_path / "a.zip", out, ["Sony/short"])
    assert set(files(tmp_path)) <= {"a.zip", "deep/in/SID/Sony/short/a"}


# ---- the scripts


def script(root, name):
    spec = importlib.util.spec_from_file_location(name, root / "data_scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_get_weights_without_touching_anything(root, tmp_path, capsys):
    out = tmp_path / "weights"
    assert script(root, "get_weights").main(["redi", "-o", str(out), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "non-commercial" in said and "redi.pth (3.15MB) would be fetched" in said
    assert "pairlie" not in said and not out.exists()
    for bad in ("sid", "nobody"):
        with pytest.raises(SystemExit):
            script(root, "get_weights").main([bad])
    assert "TensorFlow" in capsys.readouterr().err


def test_get_weights_from_a_mirror(root, tmp_path, server, capsys, monkeypatch):
    module = script(root, "get_weights")
    manifest = tmp_path / "m.toml"
    manifest.write_text(
        f"licence = 'free'\n[[file]]\nname = 'redi.pth'\nsize = {SIZE}\n"
        f"sha256 = '{SHA256}'\nby_hand = 'x'\n"
    )
    monkeypatch.setattr(module, "MANIFEST", manifest)
    argv = ["-o", str(tmp_path / "out"), "--mirror"]
    assert module.main([*argv, f"{server.url}/missing"]) == 1
    assert module.main([*argv, f"{server.url}/good"]) == 0
    assert (tmp_path / "out/redi.pth").read_bytes() == CONTENT
    assert "--checkpoint" in capsys.readouterr().out


@pytest.fixture
def get_sid(root, tmp_path, monkeypatch):
    """get_sid.py, its manifest emptied of lists (whose addresses are far away)."""
    module = script(root, "get_sid")
    manifest = tmp_path / "sid.toml"
    manifest.write_text(
        "licence = 'free'\n[[file]]\nname = 'SID/Sony.zip'\nby_hand = 'Put it at {target}'\n"
    )
    monkeypatch.setattr(module, "MANIFEST", manifest)
    return module


def test_get_sid_from_archive_to_cache(get_sid, tmp_path, capsys):
    real = tiny.make_sid(tmp_path / "real")
    for split in ("val", "test"):
        (real / f"Sony_{split}_list.txt").write_text((real / "Sony_train_list.txt").read_text())
    root = tmp_path / "root"
    (root / "SID").mkdir(parents=True)
    for path in real.glob("*.txt"):
        (root / "SID" / path.name).write_text(path.read_text())
    (root / "SID/mini.json").write_text('{"complete": true}')  # no published counts to compare with
    assert get_sid.main([str(root), "--unpack"]) == 1
    said = capsys.readouterr().out
    assert f"Put it at {root / 'SID' / 'Sony.zip'}" in said and "missing" in said
    archive_of(real, root / "SID/Sony.zip", top="some/where/Sony")
    assert get_sid.main([str(root), "--unpack", "--cache"]) == 0
    assert files(root / "SID/Sony") == files(real / "Sony")
    for p in (real / "Sony").rglob("*.dng"):
        assert (root / "SID" / p.relative_to(real)).read_bytes() == p.read_bytes()
    arrays = [p.name for p in (root / "cache").rglob("*.npy")]
    assert len(arrays) == 6
    assert "nothing is lacking" in capsys.readouterr().out
    assert not (tmp_path / "Sony").exists() and not (root / "Sony").exists()


def test_get_sid_respects_what_the_authors_ask(root, tmp_path, capsys):
    module = script(root, "get_sid")
    target = tmp_path / "data"
    assert module.main([str(target), "--camera", "both", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "Sony.zip (about 25 GB) is got by hand" in said
    assert "Fuji.zip (about 52 GB) is got by hand" in said
    assert "Sony_train_list.txt (134kB) would be fetched" in said
    assert not target.exists()
    bucket = "https://storage.googleapis.com/isl-datasets/SID"
    with pytest.raises(OptionError, match="ask that no script"):
        module.main([str(target), "--mirror", bucket])
