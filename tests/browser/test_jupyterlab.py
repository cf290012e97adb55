"""A student's copies in JupyterLab: run whole, an exercise answered, a slider moved, a bar seen."""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from support.notebook_files import NOTEBOOKS

from lowlight_lib.course.students import student_copies

pytestmark = pytest.mark.browser

MINUTES = 60_000  # milliseconds
READY = """() => {
  const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
  return context?.isReady && context.session?.kernel?.status === "idle";
}"""
WRONG, RIGHT = (f"def halo_width(radius):\n    return {x}" for x in ("radius", "2 * radius"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def lab(tmp_path_factory, mini_root, root):
    """lab(name) -> the address of a student's copy in a server of its own, in smoke profile."""
    pytest.importorskip("jupyterlab", reason="needs jupyterlab")
    place = tmp_path_factory.mktemp("lab")
    student_copies(NOTEBOOKS, place / "copies")
    settings = place / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    # All cells are in the page, not only those that are seen, and no kernel is asked for.
    text = json.dumps({"windowingMode": "none", "autoStartDefaultKernel": True})
    (settings / "tracker.jupyterlab-settings").write_text(text)
    port, token = free_port(), secrets.token_hex(8)
    environment = os.environ | {
        "JUPYTERLAB_SETTINGS_DIR": str(place / "settings"), "LOWLIGHT_PROFILE": "smoke",
        "LOWLIGHT_DATA": str(mini_root), "LOWLIGHT_OUT": str(place / "out"),
        "JUPYTER_PREFER_ENV_PATH": "1", "PYTHONPATH": str(root),
    }  # fmt: skip
    environment.pop("LOWLIGHT_CHECKS", None)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}"]
    command += [f"--IdentityProvider.token={token}", "--ServerApp.ip=127.0.0.1", "--allow-root"]
    command += ["--LabApp.expose_app_in_browser=True"]
    with open(place / "log", "w") as log:
        server = subprocess.Popen(
            command, cwd=place / "copies", env=environment, stdout=log, stderr=log
        )
    address = f"http://127.0.0.1:{port}/lab/tree/{{}}.ipynb?token={token}&reset"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token={token}")
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.5)
        else:
            pytest.fail((place / "log").read_text()[-2000:])
        yield address.format
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def opened(browser, lab, root):
    """opened(name) -> the page of a notebook, whose cells are all in it; a screenshot is kept."""
    pages = []

    def open_it(name):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        pages.append((name, page))
        page.goto(lab(name))
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=2 * MINUTES)
        page.wait_for_function(READY, timeout=2 * MINUTES)
        return page

    yield open_it
    shots = root / "runs" / "browser"
    shots.mkdir(parents=True, exist_ok=True)
    for name, page in pages:
        page.screenshot(path=shots / f"lab_{name}.png")
        page.close()


def run_all(page):
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")


def cell(page, text):
    """The code cell whose source holds a text."""
    return page.locator(".jp-CodeCell", has=page.locator(".cm-content", has_text=text)).first


def answer(page, source):
    """Write into the exercise's cell, run it and the check; the verdict's line."""
    cell(page, "def halo_width").locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(source)
    page.keyboard.press("Control+Enter")
    check = cell(page, 'checks.verify("09.1"')
    before = check.locator(".jp-OutputArea").inner_text()
    check.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    for _ in range(100):
        said = check.locator(".jp-OutputArea").inner_text()
        if said.strip() and said != before:
            return said
        page.wait_for_timeout(200)
    return before


def test_an_exercise_and_a_slider(opened):
    page = opened("09_retinex")
    run_all(page)
    last = page.locator(".jp-CodeCell").last
    last.locator("text=/of \\d+ solved/").wait_for(timeout=5 * MINUTES)
    assert (
        page.locator('.jp-RenderedText[data-mime-type="application/vnd.jupyter.error"]').count()
        == 0
    )
    assert "Not started yet" in cell(page, 'checks.verify("09.1"').inner_text()
    assert "maximum" in answer(page, WRONG)
    assert "Right" in answer(page, RIGHT)
    last.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    last.locator("text=/1 of \\d+ solved/").wait_for(timeout=MINUTES)

    panel = page.locator(".jp-CodeCell", has=page.locator(".widget-slider")).first
    panel.scroll_into_view_if_needed()
    assert panel.locator("img").count() == 0  # nothing is drawn before the first move
    handle = panel.locator(".noUi-handle").first
    pictures = []
    for _ in range(2):
        handle.focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        panel.locator("img").wait_for(timeout=MINUTES)
        page.wait_for_timeout(3000)
        pictures.append(panel.locator("img").first.get_attribute("src"))
    assert pictures[0] != pictures[1]


def test_a_training_shows_its_bar(opened):
    page = opened("13_train_test_retinex")
    run_all(page)
    # tqdm's spaces have the width of a digit.
    bar = page.locator(".widget-hbox", has_text=re.compile(r"train\spairlie")).first
    bar.locator(".progress-bar").wait_for(timeout=5 * MINUTES)
    page.locator(".jp-CodeCell").last.locator("text=/of \\d+ solved/").wait_for(timeout=5 * MINUTES)
    bar.scroll_into_view_if_needed()
