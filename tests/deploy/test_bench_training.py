"""Steps of training, timed: that it runs and reckons right, not how fast it is."""

import json

import pytest
from typer.testing import CliRunner

from lowlight_lib.cli.main import app
from lowlight_lib.deploy import bench_training


def test_rows_of_a_step():
    rows = bench_training.bench(["redi"], repeats=2)
    assert [(r["model"], r["step"]) for r in rows] == [("redi", "plain"), ("redi", "today")]
    for row in rows:
        assert 0 < row["p10"] <= row["seconds"] <= row["p90"]
        assert row["images_per_s"] == pytest.approx(row["batch"] / row["seconds"])
        assert row["ratio"] == pytest.approx(rows[0]["seconds"] / row["seconds"])
    assert len(bench_training.table(rows).splitlines()) == 3


def test_the_command_takes_two_exposures_and_writes_its_rows(tmp_path):
    words = ["bench", "--train", "--model", "pairlie", "--repeats", "1", "-o", tmp_path / "r.json"]
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 0 and "pairlie    today" in done.stdout
    rows = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert {row["step"] for row in rows} == {"plain", "today"}
