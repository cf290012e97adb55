"""The site and a run's report in a real browser, from the disk: no request leaves the machine.

`make test-browser` runs these; screenshots stay in runs/browser, to be looked at.
"""

from pathlib import Path

import pytest
from support.notebook_files import NOTEBOOKS

pytestmark = pytest.mark.browser

SITE = NOTEBOOKS.parent / "build" / "site"
REPORT = NOTEBOOKS.parent / "runs" / "latest"
WIDTHS = (1280, 390)


@pytest.fixture
def look(browser, root):
    """look(path, width) -> the loaded page, after the checks that every page must pass."""
    pages = []

    def open_it(path: Path, width):
        if not path.exists():
            pytest.skip(f"{path.relative_to(root)} is not there: make site, make reproduce")
        page = browser.new_page(viewport={"width": width, "height": 900})
        pages.append(page)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        assert not [url for url in asked if not url.startswith(("file:", "data:"))]
        shots = root / "runs" / "browser"
        shots.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=shots / f"{path.parent.name}_{path.stem}_{width}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "scrolls sideways"
        broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        assert page.evaluate(broken) == []
        return page

    yield open_it
    for page in pages:
        page.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["index", *sorted(p.stem for p in NOTEBOOKS.glob("*.ipynb"))])
def test_the_pages_of_the_site_are_whole(look, name, width):
    page = look(SITE / ("index.html" if name == "index" else f"notebooks/{name}.html"), width)
    assert page.locator("article img").count() > 0
    assert page.locator("text=/\\$\\\\/").count() == 0  # a formula that is still TeX
    assert "interactive(children" not in page.content()


def test_formulas_are_drawn_and_solutions_folded(look):
    page = look(SITE / "notebooks" / "09_retinex.html", 1280)
    boxes = [formula.bounding_box() for formula in page.locator("math").all()]
    assert len(boxes) > 20 and all(b and b["width"] > 4 and b["height"] > 4 for b in boxes)
    folded = page.locator("details", has_text="The solution")
    assert folded.count() > 0 and not any(f.get_attribute("open") for f in folded.all())


def test_the_search_finds_from_the_disk(look):
    page = look(SITE / "index.html", 1280)
    page.fill("input[name=q]", "reflectance")
    page.press("input[name=q]", "Enter")
    page.locator("#search-results li a", has_text="09 Retinex").wait_for()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_report_is_whole(look, width):
    page = look(REPORT / "index.html", width)
    assert page.locator("table").count() > 0


@pytest.mark.parametrize("width", WIDTHS)
def test_the_notebooks_of_a_run_are_pages_without_a_network(look, width):
    found = sorted(REPORT.glob("[0-9]*.html"))
    if not found:
        pytest.skip("runs/latest has no pages of notebooks: make reproduce")
    for path in found:
        page = look(path, width)
        assert "interactive(children" not in page.content()
        assert page.locator("script").count() == 0
