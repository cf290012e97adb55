"""The browser of these tests."""

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium: the one that CHROMIUM names, or that is installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`")
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")
    if program is None:
        pytest.skip("needs Chromium on the PATH, or CHROMIUM=path")
    with playwright.sync_playwright() as p:
        opened = p.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()
