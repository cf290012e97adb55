"""What a notebook does first: where its data and results go, from wherever it is opened."""

import sys
import types
from pathlib import Path

import pytest

from lowlight_lib import allocator
from lowlight_lib.course import notebook
from lowlight_lib.data import mini
from lowlight_lib.errors import OptionError


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Which mini data would have been made: [(root, sets)]; the home folder is tmp_path/home."""
    calls = []
    monkeypatch.setattr(mini, "ensure", lambda root, progress, sets: calls.append((root, sets)))
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    return calls


@pytest.mark.parametrize("inside", [".", "notebooks", "notebooks/mine/deep", "other/folder"])
def test_in_a_clone_data_and_results_go_into_it(tmp_path, monkeypatch, made, capsys, inside):
    for folder in ("notebooks", "lowlight_lib/course", inside):
        (tmp_path / "clone" / folder).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / "clone" / inside)
    data, out = notebook.set_up("smoke", "", "", number=4, mini="SID")
    assert Path(data).resolve() == tmp_path / "clone" / "datasets" / "mini"
    assert Path(out).resolve() == tmp_path / "clone" / "runs" / "notebooks" / "04"
    assert made == [(data, "SID")]
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [f"Data in {data}", f"Results in {out}"] and "made there now" in said[2]
    assert str(tmp_path) not in said[0]  # so that outputs that are kept are of no machine


def test_elsewhere_they_go_into_the_cache_and_on_colab_where_one_is(tmp_path, monkeypatch, made):
    (tmp_path / "notebooks").mkdir()  # a folder of that name is no clone
    monkeypatch.chdir(tmp_path / "notebooks")
    cache = tmp_path / "home" / ".cache" / "lowlight-lab"
    wanted = str(cache / "datasets/mini"), str(cache / "runs/notebooks/12")
    assert notebook.set_up("course", "", "", number=12) == wanted
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    wanted = tuple(str(Path.cwd() / p) for p in ("datasets/mini", "runs/notebooks/12"))
    assert notebook.set_up("course", "", "", number=12) == wanted


def test_what_is_given_is_taken_and_only_mini_data_are_made(tmp_path, made, capsys):
    real, kept = str(tmp_path / "real"), str(tmp_path / "datasets" / "mini")
    assert notebook.set_up("paper", real, "x/y") == (real, "x/y") and not made
    assert capsys.readouterr().out == f"Data in {real}\nResults in x/y\n"
    assert notebook.set_up("paper", kept) == (kept, None) and made == [(kept, None)]
    capsys.readouterr()
    assert notebook.set_up("smoke") == (None, None) and capsys.readouterr().out == ""


def test_pages_are_kept_and_a_profile_that_there_is_not_is_refused(monkeypatch, made):
    asked = []
    monkeypatch.setattr(allocator, "keep_pages", lambda: asked.append(1))
    notebook.set_up("smoke")
    assert asked == [1]
    with pytest.raises(OptionError, match=r"no profile 'smok'.*choose smoke or course or paper"):
        notebook.set_up("smok", "", "")
    assert not made
