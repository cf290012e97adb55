"""What notebook 16 reads, and its one idea."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lowlight_lib import models
from lowlight_lib.course import scoreboard
from lowlight_lib.errors import DataError
from lowlight_lib.evaluation.results import weights_id
from lowlight_lib.training import checkpoint


def write(folder, *rows):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(rows), encoding="utf-8")


def row(model, **other):
    row = {"model": model, "split": "test", "amplification": "ratio", "weights": "x", "images": 3}
    return row | {"psnr": 20.0} | other


def test_the_rows_of_a_run_of_the_course(tmp_path):
    weights = tmp_path / "10_redi/redi_course/weights.safetensors"
    checkpoint.save(models.build("pairlie", width=2), weights)
    rows = (row("redi", weights=weights_id(weights)), row("redi", amplification="auto"))
    write(tmp_path / "10_redi", *rows, row("redi", split="val", images=9))
    write(
        tmp_path / "12", row("pairlie", amplification=None), row("pairlie", predictions="elsewhere")
    )
    write(tmp_path / "10_sid", row("sid", images=2), row("sid", psnr=21.0), row("sid", images=1))
    found = scoreboard.entries(tmp_path / "14", order=("sid", "redi"))
    assert [e.row["model"] for e in found] == ["sid", "redi", "pairlie"]
    assert (found[0].row["psnr"], found[0].weights) == (21.0, None)
    assert found[1].weights == weights and found[1].folder == tmp_path / "10_redi"


def test_a_folder_that_all_share_is_enough(tmp_path):
    write(tmp_path / "shared", row("redi"))
    write(tmp_path / "other", row("sid"))
    assert [e.row["model"] for e in scoreboard.entries(tmp_path / "shared")] == ["redi"]
    assert scoreboard.entries(tmp_path / "nowhere/14") == []


def test_damaged_files_are_named(tmp_path):
    write(tmp_path / "a")
    (tmp_path / "a/results.json").write_text("[{", encoding="utf-8")
    with pytest.raises(DataError, match=r"results\.json"):
        scoreboard.entries(tmp_path / "14")
    assert scoreboard.bench_rows(tmp_path / "14") == []
    (tmp_path / "a/bench.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=r"bench\.json"):
        scoreboard.bench_rows(tmp_path / "14")
    (tmp_path / "a/bench.json").write_text('[{"model": "sid"}]', encoding="utf-8")
    assert scoreboard.bench_rows(tmp_path / "14") == [{"model": "sid"}]


@given(
    arrays(float, st.tuples(st.integers(1, 12), st.just(2)), elements=st.integers(0, 5).map(float))
)
def test_a_front_is_what_nobody_beats(points):
    front = scoreboard.pareto_front(*points.T)
    assert front.any()
    for i, (c, q) in enumerate(points):
        beaten = any(
            c2 <= c and q2 >= q and (c2 < c or q2 > q) for c2, q2 in points
        )  # the definition, word by word
        assert front[i] == (not beaten)
    assert (np.diff(points[front][np.lexsort(points[front].T[::-1])][:, 1]) >= 0).all()
