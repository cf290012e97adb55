"""Runs of the course by the command line and papermill: of the networks that nbval leaves out."""

import os
import subprocess
import sys

import imageio.v3 as iio
import pytest
from support.results import check_stills, rows_of

pytestmark = pytest.mark.notebooks


@pytest.fixture(scope="module")
def runs(tmp_path_factory, mini_root, root):
    """{network: (folder of results, what was printed)}."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LOWLIGHT_")}
    command = [sys.executable, "-m", "lowlight_lib.cli", "course", "run", "--profile", "smoke"]
    command += ["--only", "11", "-p", "limit=2", "--data", str(mini_root)]
    done = {}
    for model in ("sid", "llpacknet"):
        out = tmp_path_factory.mktemp(model) / "latest"
        run = subprocess.run(
            [*command, "-p", f"model={model}", "--out", str(out)],
            cwd=root, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout + run.stderr
        done[model] = out, run.stdout
    return done


def test_a_run_of_the_course_holds_what_the_readme_says(runs):
    for model, (out, text) in runs.items():
        rows = rows_of(out, model)
        check_stills(rows, model, 2)
        folder = out / f"11_train_test_stills_{model}"
        assert folder.with_suffix(".ipynb").exists()
        pictures = {p.name.rsplit("_", 1)[1] for p in (folder / "pictures").glob("10001_00_0.1s_*")}
        assert {"input.png", "baseline.png", "result.png", "target.png"} <= pictures
        views = [
            iio.imread(folder / "pictures" / f"10001_00_0.1s_{v}.png")
            for v in ("input", "baseline", "result", "target")
        ]
        assert {v.shape for v in views} == {(512, 512, 3)}
        assert views[0].mean() < 30 < views[1].mean()  # dark, then not
        page = (out / "index.html").read_text(encoding="utf-8")
        assert all(f"{r['psnr']:.2f}" in page for r in rows)
        assert "10001_00_0.1s_result.png" in page
        assert folder.name in text


def test_networks_differ_and_baselines_do_not(runs):
    sid, llpacknet = (rows_of(out, model)[0] for model, (out, _) in runs.items())
    assert sid["baseline_psnr"] == llpacknet["baseline_psnr"]  # no network in it
    assert sid["psnr"] != llpacknet["psnr"]
