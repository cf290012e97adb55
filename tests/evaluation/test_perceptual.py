"""LPIPS and FID: which pictures are compared, and what is said where the libraries lack."""

import json
import sys

import numpy as np
import pytest

from lowlight_lib.errors import DataError, OptionError
from lowlight_lib.evaluation import perceptual
from lowlight_lib.io.files import write_picture


class Distance:
    """Stands in for both: mean absolute difference of all that was handed in."""

    def __init__(self, **options):
        self.options, self.pairs, self.sums = options, [], {True: [], False: []}

    def update(self, a, b=None, real=None):
        assert a.shape[1] == 3 and float(a.min()) >= 0 and float(a.max()) <= 1
        if real is None:
            self.pairs.append(float((a - b).abs().mean()))
        else:
            self.sums[real].append(float(a.mean()))

    def compute(self):
        if self.pairs:
            return np.mean(self.pairs)
        return abs(np.mean(self.sums[True]) - np.mean(self.sums[False]))


def written(folder, count):
    for i in range(count):
        for view, value in (("result", 0.6), ("target", 0.8), ("input", 0.2)):
            write_picture(folder / f"{i}_{view}.png", np.full((12, 16, 3), value, np.float32))
    return folder


def test_results_and_inputs_are_held_against_targets(tmp_path):
    found = perceptual.score_folder(written(tmp_path, 3), "012", metrics=(Distance, Distance))
    assert found == pytest.approx(
        {"lpips": 0.2, "fid": 0.2, "baseline_lpips": 0.6, "baseline_fid": 0.6}, abs=1e-6
    )


def test_what_lacks_is_said(tmp_path, monkeypatch):
    written(tmp_path, 2)
    with pytest.raises(OptionError, match="here are 1"):
        perceptual.score_folder(tmp_path, "0", metrics=(Distance, Distance))
    (tmp_path / "1_target.png").unlink()
    with pytest.raises(DataError, match="1_target"):
        perceptual.score_folder(tmp_path, "01", metrics=(Distance, Distance))
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(OptionError, match=r"lowlight-lab\[perceptual\]"):
        perceptual.score_folder(tmp_path, "01")


def test_no_net_is_said(tmp_path):
    def offline(**options):
        raise OSError("no route to host")

    with pytest.raises(OptionError, match="could not be fetched"):
        perceptual.score_folder(written(tmp_path, 2), "01", metrics=(offline, Distance))


def test_the_command_line_asks_first_and_adds_the_scores(mini_root, tmp_path, monkeypatch, capsys):
    from lowlight_lib import models
    from lowlight_lib.cli.main import main
    from lowlight_lib.training import checkpoint

    weights = tmp_path / "w.safetensors"
    checkpoint.save(models.build("pairlie", width=4), weights)
    command = f"test pairlie --checkpoint {weights} --data {mini_root} --limit 2 --perceptual"
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(SystemExit):
        main(command.split())
    assert "torchvision" in capsys.readouterr().err
    assert not (tmp_path / "results.json").exists()  # before any work
    monkeypatch.setattr(perceptual, "find_metrics", lambda: (Distance, Distance))
    with pytest.raises(SystemExit) as ended:
        main(command.split())
    assert ended.value.code == 0
    assert "LPIPS" in capsys.readouterr().out
    [row] = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert row["baseline_lpips"] > 0 and row["fid"] >= 0 and row["psnr"] > 0
