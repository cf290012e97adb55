"""The site: every notebook as it was committed, the library's docstrings, and the guides.

`make site` builds it. Nothing is executed, and the pages need neither a server nor a network. The
pages are gathered in build/site_source: notebooks with their solutions folded and their sliders
left out, the guides that lie at the root, one page a package of the library, and the tables of
published numbers.
"""

import json
import re
import sys
from pathlib import Path

import nbformat
from docutils.nodes import SkipNode
from latex2mathml.converter import convert

DOCS = Path(__file__).parent
ROOT = DOCS.parent
GATHERED = ROOT / "build" / "site_source"
sys.path.insert(0, str(ROOT))

from lowlight_lib import __version__  # noqa: E402
from lowlight_lib.course import colab, pages  # noqa: E402
from lowlight_lib.evaluation import published  # noqa: E402
from lowlight_lib.io.files import atomic_write  # noqa: E402

project, author, release = "Low-Light Lab", "Low-Light Lab", __version__
html_title = f"{project} {release}"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_search_summary = False  # it is fetched, and from the disk a browser fetches nothing
html_extra_path = [str(ROOT / "notebooks")]  # what the download buttons give
html_math_renderer = "mathml"

nb_execution_mode = "off"
nb_ipywidgets_js = {}  # it would come from elsewhere, and no kernel answers it
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3

default_role = "literal"  # one backtick in our docstrings is code
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False  # torch's word on every `forward`
maximum_signature_line_length = 88
napoleon_use_rtype = False
napoleon_use_ivar = True

NO_PAGE = {"checks", "cli"}  # the checks compute what students are asked; --help shows the commands


def gather():
    """Write the pages into build/site_source, those that have changed."""
    for path in DOCS.glob("*.*"):
        if path.suffix in (".md", ".jpg", ".svg"):
            write(GATHERED / path.name, path.read_bytes())
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        write(GATHERED / "notebooks" / path.name, nbformat.writes(page_of(path)).encode())
    for name in ("CONTRIBUTING", "CHANGELOG"):
        text = (ROOT / f"{name}.md").read_text(encoding="utf-8")
        address = f"]({colab.REPO_URL}/blob/main/"
        text = re.sub(r"\]\((?!https?:|#|mailto:)", address, text)
        write(GATHERED / f"{name.lower()}.md", text.encode())
    tables = published.html(rows_of_the_last_run())
    text = (DOCS / "published.md").read_text(encoding="utf-8").replace("TABLES", tables)
    write(GATHERED / "published.md", text.encode())
    for package in sorted(p.parent for p in (ROOT / "lowlight_lib").glob("*/__init__.py")):
        if package.name not in NO_PAGE:
            write(GATHERED / "api" / f"{package.name}.md", api_page(package).encode())


def page_of(path):
    """A notebook as a page: buttons, folded solutions, and a word where a slider stands."""
    notebook = pages.without_widgets(nbformat.read(path, as_version=4))
    first = notebook.cells[0]
    buttons = (
        rf'<p class="buttons"><a href="\1">Open in Colab</a> <a href="../{path.name}" download>'
    )
    buttons += "Download the notebook</a></p>"
    first.source = re.sub(r"\[Open in Colab\]\((\S+)\)", buttons, first.source)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace("](../docs/", "](../")
        tags = cell.metadata.get("tags", [])
        folded = "The solution" if "solution" in tags else ""
        if cell.source.startswith("# Set-up:"):
            folded = "The set-up, the same in every notebook"
        if folded:
            cell.metadata["tags"] = [*tags, "hide-input"]
            cell.metadata["mystnb"] = {"code_prompt_show": folded, "code_prompt_hide": folded}
    return notebook


def api_page(package):
    """The docstrings of a package: itself, then each of its modules."""
    lines = [f"# {package.name}", "", "```{eval-rst}"]
    lines += [f".. automodule:: lowlight_lib.{package.name}", "   :members:", "```"]
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        inner = parts[:-1] if parts[-1] == "__init__" else parts
        if len(inner) > 1 and not NO_PAGE & {*inner} and "__main__" not in inner:
            name = ".".join(inner)
            lines += ["", f"## {name}", "", "```{eval-rst}"]
            lines += [f".. automodule:: lowlight_lib.{name}", "   :members:", "```"]
    return "\n".join(lines) + "\n"


def rows_of_the_last_run():
    """The scores that runs/latest has on this machine, to stand beside the published ones."""
    try:
        return json.loads((ROOT / "runs/latest/results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []


def write(path, content):
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as f:
            f.write(content)


def formula(self, node):
    """A formula as MathML, which browsers draw without any script."""
    block = node.tagname == "math_block"
    mathml = convert(node.astext(), display="block" if block else "inline")
    self.body.append(f'<div class="formula">{mathml}</div>' if block else mathml)
    raise SkipNode


def as_meant(app, what, name, obj, options, lines):
    """Docstrings are text for people; here their drawings and formulas become literal blocks.

    In place, and before napoleon: a block that is indented after an empty line is literal, one that
    hangs below the first line of its paragraph belongs to it, and | and * are themselves.
    """
    written, section, literal, doctest = [], False, False, False
    for line in lines:
        text, before = line.lstrip(), written[-1].strip() if written else ""
        indented = line != text
        doctest = bool(text) and (doctest or text.startswith(">>>"))
        if text and not indented:
            section, literal = text in ("Args:", "Returns:", "Raises:", "Yields:"), False
        elif indented and not section and not literal and not doctest:
            if literal := not before:
                written += ["::", ""]
            else:
                line = text
        if not literal and not doctest:
            line = re.sub(r"(`[^`]*`)|([|*])", lambda m: m[1] or "\\" + m[2], line)
        written.append(line)
    lines[:] = written


def setup(app):
    app.connect("autodoc-process-docstring", as_meant, priority=400)
    app.add_html_math_renderer("mathml", (formula, None), (formula, None))


gather()
