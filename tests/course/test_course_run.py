"""The headless runner, on tiny notebooks: order, failures, refusals, resuming, the report."""

import html.parser
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote

import nbformat
import psutil
import pytest
from support.notebook_files import PARAMETERS, write_notebook

from lowlight_lib import allocator
from lowlight_lib.course import progress, report, run
from lowlight_lib.errors import OptionError

# Notes, in the data folder, that it ran; leaves a score and a picture as a real notebook does.
WORKS = """
import json, pathlib
out, data = pathlib.Path(os.environ["LOWLIGHT_OUT"]), pathlib.Path(os.environ["LOWLIGHT_DATA"])
with open(data / "order.txt", "a") as f:
    f.write(out.name + "\\n")
(out / "saw.json").write_text(json.dumps({
    "environment": dict(os.environ), "folder": os.getcwd(), "profile": profile,
    "data_root": data_root, "model": model, "steps": steps}))
row = {"model": model + "<i>", "psnr": 21.5, "rival_psnr": 17.0, "amplification": "ratio"}
(out / "results.json").write_text(json.dumps([row]))
(out / "pictures").mkdir(exist_ok=True)
for view in ("input", "baseline", "result", "target", "result_auto"):
    (out / "pictures" / f"10 #1 & co_{view}.png").write_bytes(b"png")
"""

FAILS = 'raise ValueError("no <b>such</b> thing & more")'
DIES = "import os\nos._exit(3)"


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course of five notebooks, run once; the folder's name is one that papermill would fill."""
    top = tmp_path_factory.mktemp("a {profile} course")
    books, data = top / "notebooks", top / "data"
    data.mkdir()
    write_notebook(books / "00_first.ipynb", WORKS, parameters=PARAMETERS.replace("steps", "tiles"))
    write_notebook(books / "01_breaks.ipynb", "x = 1", FAILS, "never = 1")
    write_notebook(books / "02_dies.ipynb", DIES)
    write_notebook(books / "11_train_test_stills.ipynb", WORKS)
    first = books / "00_first.ipynb"
    first.write_text(first.read_text().replace('\\"steps\\": steps', '\\"steps\\": tiles'))
    log, before = io.StringIO(), dict(os.environ)
    os.environ["MPLBACKEND"] = "agg"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", log)
        code = run.run_course(
            "smoke", None, {"steps": "3"}, data, books, top / "runs" / "latest", resume=False
        )
    after = os.environ.pop("MPLBACKEND")
    assert after == "agg" and dict(os.environ) == before  # the caller's environment is untouched
    out = top / "runs" / "latest"
    state = json.loads((out / "state.json").read_text())
    return {"top": top, "books": books, "data": data, "out": out, "code": code} | {
        "log": log.getvalue(),
        "state": state,
        "again": lambda **o: run.run_course(
            "smoke", **({"data_root": data, "notebooks_dir": books, "out": out} | o)
        ),
    }


def test_the_authors_recipes_are_a_profile_too(tmp_path):
    write_notebook(tmp_path / "notebooks" / "00_first.ipynb", "assert profile == 'released'")
    books, out = tmp_path / "notebooks", tmp_path / "out"
    assert run.run_course("released", None, None, tmp_path, books, out) == 0


def test_all_notebooks_run_and_the_others_go_on_after_a_failure(course):
    trained = [f"11_train_test_stills_{model}" for model in ("sid", "llpacknet", "redi")]
    wanted = ["00_first", *trained]
    assert sorted((course["data"] / "order.txt").read_text().split()[:4]) == sorted(wanted)
    status = {n: e["status"] for n, e in course["state"]["notebooks"].items()}
    assert status == dict.fromkeys(wanted, "done") | {"01_breaks": "failed", "02_dies": "failed"}
    assert course["code"] == 1 and course["state"]["status"] == "failed"


def test_the_failing_cell_and_its_error_are_named(course):
    entry = course["state"]["notebooks"]["01_breaks"]
    # parameters, injected parameters, x = 1, and then the one that raises; empty cells do not count
    assert (entry["cell"], entry["cells"]) == (4, 5)
    assert entry["error"] == {"name": "ValueError", "message": "no <b>such</b> thing & more"}
    assert "FAILED" in course["log"]
    assert "in cell 4 of 5: ValueError: no <b>such</b> thing & more" in course["log"]
    executed = nbformat.read(course["out"] / "01_breaks.ipynb", as_version=4)
    failing = [c for c in executed.cells if c.get("source") == FAILS]
    assert failing[0].execution_count == 4
    assert failing[0].outputs[0].ename == "ValueError"


def test_a_kernel_that_dies_is_a_failure_with_its_cell(course):
    entry = course["state"]["notebooks"]["02_dies"]
    assert entry["cell"] == 3 and entry["error"]["name"] == "DeadKernelError"
    assert (course["out"] / "02_dies.ipynb").exists()


def test_kernels_get_their_environment_and_declared_parameters(course):
    saw = {}
    for name in ("00_first", "11_train_test_stills_sid", "11_train_test_stills_redi"):
        saw[name] = json.loads((course["out"] / name / "saw.json").read_text())
        environment = saw[name]["environment"]
        assert environment["LOWLIGHT_PROFILE"] == saw[name]["profile"] == "smoke"
        assert environment["LOWLIGHT_DATA"] == saw[name]["data_root"] == str(course["data"])
        assert environment["LOWLIGHT_OUT"] == str(course["out"] / name)
        assert environment["JUPYTER_PREFER_ENV_PATH"] == "1"
        assert environment.get("MPLBACKEND") != "agg"
        if allocator.wanted():
            assert environment.items() >= allocator.ENVIRONMENT.items()
        assert Path(saw[name]["folder"]) == course["books"]
    assert [s["model"] for s in saw.values()] == ["sid", "sid", "redi"]
    assert [s["steps"] for s in saw.values()] == [7, 3, 3]  # 00 declares no steps, so keeps its own
    recorded = course["state"]["notebooks"]["11_train_test_stills_redi"]["parameters"]
    assert (recorded["steps"], recorded["model"]) == (3, "redi")
    versions = course["state"]["versions"]
    assert all(versions[k] for k in ("python", "torch", "numpy", "rawpy", "libraw"))


def test_results_are_merged_in_order(course):
    rows = json.loads((course["out"] / "results.json").read_text())
    assert [r["model"] for r in rows] == ["sid<i>", "sid<i>", "llpacknet<i>", "redi<i>"]


class Links(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.targets, self.tags, self.alts = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        attributes = dict(attributes)
        self.targets += [v for k, v in attributes.items() if k in ("href", "src")]
        if tag == "img":
            assert attributes["loading"] == "lazy"
            self.alts.append(attributes["alt"])


def test_the_report_escapes_what_it_shows_and_its_links_are_files_of_the_run(course):
    text = (course["out"] / "index.html").read_text()
    page = Links(text)
    assert not page.tags & {"script", "link", "iframe", "b", "i"}
    assert "no &lt;b&gt;such&lt;/b&gt; thing &amp; more" in text and "redi&lt;i&gt;" in text
    assert "4.50" in text  # the gain, 21.5 - 17.0
    for target in page.targets:
        assert (course["out"] / unquote(target)).is_file(), target
    names = {unquote(t) for t in page.targets}
    for name in course["state"]["notebooks"]:
        assert {f"{name}.ipynb", f"{name}.html"} <= names
    assert "11_train_test_stills_redi/pictures/10 #1 & co_result.png" in names
    assert "result (auto) of 10 #1 & co, 00_first" in page.alts
    assert len(page.alts) == 4 * 5
    assert "http" not in text and "prefers-color-scheme" in text and "viewport" in text


def test_the_report_of_a_notebook_that_is_no_page_links_to_the_notebook(tmp_path):
    """One that is still running, or that nbconvert cannot read."""
    for status in ("running", "finished"):
        (tmp_path / f"00_{status}.ipynb").write_text("no notebook")
    entries = {f"00_{status}": {"status": status} for status in ("running", "finished")}
    (tmp_path / "state.json").write_text(json.dumps({"notebooks": entries}))
    page = report.write_index(tmp_path).read_text()
    assert "00_running.ipynb" in page and "00_finished.ipynb" in page and ">read<" not in page


def test_the_report_is_written_even_where_files_are_missing_or_damaged(tmp_path):
    (tmp_path / "state.json").write_text('{"notebooks": {"00_x": {"status": "running"}}}')
    (tmp_path / "results.json").write_text("[{")
    assert "00_x" in report.write_index(tmp_path).read_text()
    (tmp_path / "results.json").write_text('[{"psnr": NaN, "images": 3, "gain": null}]')
    assert "<td>–</td>" in report.write_index(tmp_path).read_text()


def test_the_report_sets_scores_beside_published_ones(tmp_path):
    row = {"model": "redi", "dataset": "sid", "split": "test", "camera": "Sony ILCE-7SM2"}
    row |= {"images": 50, "amplification": "ratio", "protocol": "redi_released"}
    for more, told in (({"psnr": 28.6, "ssim": 0.79}, True), ({"model": "other"}, False)):
        (tmp_path / "results.json").write_text(json.dumps([row | more]))
        page = report.write_index(tmp_path).read_text()
        assert ("28.60 / 0.790 (None, 50 images, redi_released)</td><td>yes" in page) == told
        assert ("Beside published numbers" in page) == told and "pairlie" not in page


def test_the_report_opens_with_a_picture_and_what_it_is_worth(tmp_path):
    images = [
        {"name": f"{s}_{k}", "scene": s, "psnr": 21 + s + k, "rival_psnr": 20 + s + 0.9 * k}
        for s in range(4) for k in range(2)
    ]  # fmt: skip
    row = {"model": "redi", "dataset": "sid", "rival": "tv 4", "per_image": images}
    (tmp_path / "results.json").write_text(json.dumps([row, {"model": "sid", "per_image": [{}]}]))
    pictures = tmp_path / "11_redi" / "pictures"
    pictures.mkdir(parents=True)
    for view in report.VIEWS:
        (pictures / f"a_{view}.png").write_bytes(b"png")
    for profile in ("course", "smoke"):
        (tmp_path / "state.json").write_text(json.dumps({"profile": profile, "notebooks": {}}))
        page = report.write_index(tmp_path).read_text()
        says = "redi on sid: +1.05 dB over the best without a network (tv 4), 95 % interval +1.05"
        assert (says in page) == (profile == "course")
        assert ("Its scores and pictures mean nothing" in page) == (profile == "smoke")
        assert (page.index("a_result.png") < page.index("Scores")) == (profile == "course")


def test_progress_is_told_without_a_terminal(course):
    assert "[1/6] 00_first" in course["log"]
    assert "[6/6] 11_train_test_stills_redi  done in" in course["log"]
    assert "Finished after" in course["log"] and "4 of 6 without error" in course["log"]


# The tests from here on run notebooks again in the same folder; they leave it usable.


def test_resuming_runs_only_what_has_not_finished(course, capsys):
    ran = (course["data"] / "order.txt").read_text()
    write_notebook(course["books"] / "01_breaks.ipynb", "x = 2")
    assert course["again"](only="00,1", parameters={"steps": 3}, resume=True) == 0
    assert (course["data"] / "order.txt").read_text() == ran
    assert "00_first  skipped" in capsys.readouterr().out
    state = json.loads((course["out"] / "state.json").read_text())
    assert state["notebooks"]["01_breaks"]["status"] == "done"
    assert state["started"] == course["state"]["started"]
    assert len(state["notebooks"]) == 6  # the others of this run are still in it
    assert len(json.loads((course["out"] / "results.json").read_text())) == 4
    with pytest.raises(OptionError, match="had parameters"):
        course["again"](parameters={"steps": 4}, resume=True)


def test_the_earlier_run_is_kept_under_its_start_time(course):
    started = json.loads((course["out"] / "state.json").read_text())["started"]
    assert course["again"](only="01_breaks") == 0
    kept = course["out"].with_name(started)
    assert (kept / "11_train_test_stills_redi" / "results.json").exists()
    assert list(json.loads((course["out"] / "state.json").read_text())["notebooks"]) == [
        "01_breaks"
    ]
    assert json.loads((course["out"] / "results.json").read_text()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals to a child need POSIX")
def test_ctrl_c_ends_the_kernel_and_is_recorded(tmp_path):
    slow = "import os, time\nopen('kernel.pid', 'w').write(str(os.getpid()))\ntime.sleep(600)"
    books = tmp_path / "notebooks"
    write_notebook(books / "00_slow.ipynb", slow)
    write_notebook(books / "01_next.ipynb", "x = 1")
    (tmp_path / "data").mkdir()
    program = (
        "import signal, sys; from lowlight_lib.course.run import run_course;"
        # What a shell starts in the background ignores Ctrl-C, and so do its children.
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        "sys.exit(run_course(data_root='data', notebooks_dir='notebooks', out='out'))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    child = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env=environment)
    pid, patience = books / "kernel.pid", time.monotonic() + 120
    while not (pid.exists() and pid.read_text()) and time.monotonic() < patience:
        assert child.poll() is None
        time.sleep(0.05)
    kernel = psutil.Process(int(pid.read_text()))
    child.send_signal(signal.SIGINT)
    assert child.wait(60) == 130
    kernel.wait(30)  # raises where it still runs
    state = json.loads((tmp_path / "out" / "state.json").read_text())
    assert state["status"] == "interrupted"
    assert {n: e["status"] for n, e in state["notebooks"].items()} == {"00_slow": "interrupted"}
    assert "00_slow" in (tmp_path / "out" / "index.html").read_text()


def test_a_cell_that_hangs_is_given_up_and_the_next_notebook_runs(tmp_path):
    write_notebook(tmp_path / "notebooks" / "00_hangs.ipynb", "import time\ntime.sleep(600)")
    write_notebook(tmp_path / "notebooks" / "01_next.ipynb", "x = 1")
    options = {"data_root": tmp_path, "notebooks_dir": tmp_path / "notebooks", "cell_timeout": 5}
    assert run.run_course(out=tmp_path / "out", **options) == 1
    entries = json.loads((tmp_path / "out" / "state.json").read_text())["notebooks"]
    assert (entries["00_hangs"]["cell"], entries["01_next"]["status"]) == (3, "done")
    assert (
        "over 5 s. To fix: give a longer --cell-timeout" in entries["00_hangs"]["error"]["message"]
    )


class Ticks:
    """A threading.Event that lets so many waits pass at once, and notes how long they would be."""

    def __init__(self, n):
        self.waits, self.n = [], n

    def wait(self, seconds):
        self.waits.append(seconds)
        return len(self.waits) > self.n

    def set(self):
        while len(self.waits) <= self.n:
            time.sleep(0.001)


def shown(tmp_path, stream, ticks):
    """A notebook of 9 cells of which 5 have begun, and a training in it, as `progress` tells it."""
    cells = [{"cell_type": "code", "source": ["x = 1"], "metadata": {}} for _ in range(9)]
    for cell in cells[:5]:
        cell["metadata"]["papermill"] = {"start_time": "now"}
    (tmp_path / "10_x.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "metrics.jsonl").write_text('{"step": 40, "steps": 400, "loss": 0.25}\n')
    os.utime(tmp_path / "metrics.jsonl", (time.time() + 60,) * 2)
    running = {"[1/2] 10_x": (9, tmp_path / "10_x.ipynb", tmp_path, time.time())}
    with progress.progress(running, stream, ticks):
        return stream


def test_without_a_terminal_lines_come_at_least_every_15_seconds(tmp_path):
    ticks = Ticks(4)
    lines = shown(tmp_path, io.StringIO(), ticks).getvalue().splitlines()
    assert lines == ["[1/2] 10_x: 4/9 cells 00:00, step 40/400  loss 0.2500"] * 4
    assert max(ticks.waits) <= 15


def test_the_training_shown_is_the_newest_of_this_run(tmp_path):
    def write(name, text, when):
        path = tmp_path / name / "metrics.jsonl"
        path.parent.mkdir()
        path.write_text(text)
        os.utime(path, (when, when))

    write("old", '{"step": 1, "steps": 9, "loss": 0.1}\n', 50)
    assert progress.training_status(tmp_path, since=60) is None
    write("a", '{"step": 2, "steps": 9, "loss": 0.2}\n{"step": 3, "ste', 70)
    assert progress.training_status(tmp_path, since=60) == "step 2/9  loss 0.2000"
    write("b", '{"step": 5, "steps": 9}\n', 80)
    assert progress.training_status(tmp_path, since=60) == "step 5/9"
    write("c", '{"step": 9, "steps": 9, "loss": 0.2}\n', 90)
    assert progress.training_status(tmp_path, since=60) is None
    write("d", "nonsense\n", 95)
    assert progress.training_status(tmp_path, since=60) is None


def test_on_a_terminal_one_line_is_drawn_over(tmp_path):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    text = shown(tmp_path, Terminal(), Ticks(1)).getvalue()
    assert "10_x: 4/9 cells 00:00" in text and "loss 0.2500" in text and "\n" not in text
    assert {len(part) for part in text.split("\r")} == {79, 0}


def test_the_runner_is_light_to_import():
    heavy = {"torch", "papermill", "nbformat", "nbconvert", "matplotlib", "rawpy"}
    program = (
        "import sys, lowlight_lib.course.run, lowlight_lib.course.colab;"
        f"sys.exit(', '.join(sorted({heavy!r} & set(sys.modules))) or 0)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals need POSIX")
def test_a_terminal_without_width_gets_lines(tmp_path):
    import pty

    ours, theirs = pty.openpty()  # new ones are 0 columns wide
    os.set_blocking(ours, False)
    with os.fdopen(theirs, "w") as stream:
        shown(tmp_path, stream, Ticks(1))
        assert "[1/2] 10_x: 4/9 cells 00:00" in os.read(ours, 1000).decode()
    os.close(ours)
