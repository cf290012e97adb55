"""The page that shows what a run of the course did: index.html in the folder of the run.

One file with relative links that opens from the disk, without a server and without a network.
Everything that comes from a notebook or a file is escaped.
"""

from __future__ import annotations

import html
import json
import math
import re
from pathlib import Path
from urllib.parse import quote

from ..io.files import atomic_write

VIEWS = ("input", "baseline", "result", "target")

_PICTURE = re.compile(rf"(?P<name>.+)_(?P<view>{'|'.join(VIEWS)})(?:_(?P<variant>[a-z0-9.]+))?")

# Column, title, and digits after the point (None: as it is).
_COLUMNS = (
    ("model", "model", None),
    ("dataset", "data set", None),
    ("split", "split", None),
    ("profile", "profile", None),
    ("images", "images", None),
    ("psnr", "PSNR (dB)", 2),
    ("ssim", "SSIM", 4),
    ("baseline_psnr", "baseline PSNR (dB)", 2),
    ("baseline_ssim", "baseline SSIM", 4),
    ("gain", "gain (dB)", 2),
    ("strred", "ST-RRED", 4),
    ("baseline_strred", "baseline ST-RRED", 4),
    ("amplification", "amplification", None),
    ("seconds_train", "training (s)", 0),
    ("seconds_per_image", "per image (s)", 3),
)

_STATUS = {"done": "✓ done", "failed": "✗ failed", "running": "… running"}

_CSS = """
:root { color-scheme: light dark; --line: #ccc; --soft: #f3f3f3; --bad: #a40000; --good: #1a6b1a; }
@media (prefers-color-scheme: dark) {
  :root { --line: #444; --soft: #222; --bad: #ff8f8f; --good: #8fd68f; }
}
body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 0 auto; padding: 1rem; }
h1, h2, h3 { line-height: 1.2; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left; }
th { background: var(--soft); }
td.number, th.number { text-align: right; }
.failed { color: var(--bad); font-weight: 600; }
.done { color: var(--good); }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--soft); padding: .7rem; }
.views { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(14rem, 100%), 1fr));
  gap: .7rem; }
figure { margin: 0; }
figure img, figure video { width: 100%; height: auto; background: var(--soft); }
figcaption { font-size: .9rem; overflow-wrap: anywhere; }
.note { opacity: .75; font-size: .9rem; }
"""


def write_index(run_dir) -> Path:
    """Write index.html for the run in `run_dir`, and an HTML rendering of each executed notebook.

    A file that is missing or damaged leaves its section out; the page is written all the same.
    Renderings newer than their notebook are kept, so that calling it after each notebook is cheap.

    Args:
        run_dir: a folder that `run_course` filled, or is filling: state.json, results.json,
            NN_name.ipynb, and pictures NAME_{input,baseline,result,target}.png and videos NAME.mp4
            in folders called `pictures`.

    Returns:
        The path of index.html.

    Raises:
        OutputError: it cannot be written.
    """
    run_dir = Path(run_dir)
    state, rows = _read(run_dir / "state.json", {}), _read(run_dir / "results.json", [])
    body = "\n".join(
        (
            _head(state),
            _failures(state),
            _notebooks(run_dir, state),
            _scores(rows),
            _pictures(run_dir, rows),
        )
    )
    title = _text(f"Low-Light Lab: {state.get('profile', 'a')} run")
    page = (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_CSS}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
    with atomic_write(run_dir / "index.html", "w") as f:
        f.write(page)
    return run_dir / "index.html"


def _head(state):
    facts = {
        "Profile": state.get("profile"),
        "Status": state.get("status"),
        "Started": state.get("started"),
        "Finished": state.get("finished"),
        "Data": state.get("data_root"),
        "Parameters": ", ".join(f"{k}={v}" for k, v in (state.get("parameters") or {}).items()),
        "Versions": ", ".join(f"{k} {v}" for k, v in (state.get("versions") or {}).items() if v),
        "Commit": state.get("commit"),
    }
    lines = (f"<tr><th>{k}</th><td>{_text(v)}</td></tr>" for k, v in facts.items() if v)
    return (
        "<h1>Low-Light Lab</h1>\n<p>What one run of the course did: its notebooks, scores and "
        f'pictures.</p>\n<div class="wide"><table>{"".join(lines)}</table></div>'
    )


def _failures(state):
    parts = []
    for name, entry in (state.get("notebooks") or {}).items():
        if entry.get("status") == "failed":
            error = entry.get("error") or {}
            parts.append(
                f'<h3 class="failed">{_text(name)}: cell {_text(entry.get("cell"))} of '
                f"{_text(entry.get('cells'))}</h3>\n"
                f"<pre>{_text(error.get('name'))}: {_text(error.get('message'))}</pre>"
            )
    return "<h2>What failed</h2>\n" + "\n".join(parts) if parts else ""


def _notebooks(run_dir, state):
    lines = []
    for name, entry in (state.get("notebooks") or {}).items():
        executed, status = run_dir / f"{name}.ipynb", str(entry.get("status"))
        links = []
        if executed.exists():
            # Only of what is complete: papermill rewrites the notebook after every cell.
            rendered = None if status == "running" else _render(executed)
            links += [_link(run_dir, rendered, "read")] if rendered else []
            links.append(_link(run_dir, executed, "notebook"))
        minutes = _number(entry["seconds"] / 60, 1) if "seconds" in entry else "–"
        lines.append(
            f'<tr><td>{_text(name)}</td><td class="{_text(status)}">'
            f'{_text(_STATUS.get(status, status))}</td><td class="number">{minutes}</td>'
            f"<td>{' · '.join(links)}</td></tr>"
        )
    return _table(
        "Notebooks",
        '<th>notebook</th><th>status</th><th class="number">minutes</th><th>open</th>',
        lines,
    )


def _scores(rows):
    lines = []
    for row in rows:
        cells = []
        for key, _, digits in _COLUMNS:
            value = row.get(key)
            if key == "gain" and value is None:
                value = _difference(row.get("psnr"), row.get("baseline_psnr"))
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            shown = _number(value, digits) if number else _text("–" if value is None else value)
            cells.append(f"<td{_number_class(key)}>{shown}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    heads = "".join(f"<th{_number_class(key)}>{title}</th>" for key, title, _ in _COLUMNS)
    note = (
        '<p class="note">The baseline is what a raw converter makes of the same file, amplified, '
        "without any network. Gain: PSNR of the network minus that of the baseline.</p>"
    )
    return _table("Scores", heads, lines, note)


def _number_class(key):
    return "" if key in ("model", "dataset", "split", "profile") else ' class="number"'


def _pictures(run_dir, rows):
    """The pictures of each folder `pictures`, grouped by what they show."""
    per_image = {r.get("model"): _psnr_by_name(r) for r in reversed(rows)}
    parts = []
    for folder in sorted(p for p in run_dir.rglob("pictures") if p.is_dir()):
        groups = {}
        for path in sorted(folder.glob("*.png")):
            match = _PICTURE.fullmatch(path.stem)
            if match:
                view = (VIEWS.index(match["view"]), match["variant"] or "")
                groups.setdefault(match["name"], {})[view] = path
        videos = sorted(folder.glob("*.mp4"))
        if not groups and not videos:
            continue
        where = folder.parent.relative_to(run_dir).as_posix()
        scores = next((s for m, s in per_image.items() if m and where.endswith(f"_{m}")), {})
        parts.append(f"<h2>Pictures: {_text(where)}</h2>")
        for name, views in groups.items():
            figures = "".join(
                _figure(run_dir, path, where, name, VIEWS[index], variant, scores)
                # the four of the true ratio side by side, then other variants
                for (index, variant), path in sorted(views.items(), key=lambda v: v[0][::-1])
            )
            parts.append(f'<h3>{_text(name)}</h3>\n<div class="views">{figures}</div>')
        if videos:
            shown = "".join(_video(run_dir, path) for path in videos)
            parts.append(f"<h3>Amplified input, result, target</h3>\n{shown}")
    return "\n".join(parts)


def _psnr_by_name(row):
    """{picture: (PSNR of the result, of the baseline)} of a row made with the true ratio."""
    if row.get("amplification") != "ratio":
        return {}
    return {
        r.get("name"): {"result": r.get("psnr"), "baseline": r.get("baseline_psnr")}
        for r in row.get("per_image") or ()
    }


def _figure(run_dir, path, where, name, view, variant, scores):
    caption = f"{view} ({variant})" if variant else view
    score = None if variant else scores.get(name, {}).get(view)
    scored = "" if score is None else f", {_number(score, 2)} dB"
    source = _address(run_dir, path)
    return (
        f'<figure><a href="{source}"><img src="{source}" loading="lazy" '
        f'alt="{_text(f"{caption} of {name}, {where}")}"></a>'
        f"<figcaption>{_text(caption)}{scored}</figcaption></figure>"
    )


def _video(run_dir, path):
    return (
        f'<figure><video src="{_address(run_dir, path)}" controls loop muted preload="metadata">'
        f"</video><figcaption>{_text(path.stem)}</figcaption></figure>"
    )


def _render(executed):
    """The notebook as a page beside it, or None where it cannot be converted."""
    page = executed.with_suffix(".html")
    if page.exists() and page.stat().st_mtime >= executed.stat().st_mtime:
        return page
    try:
        import nbformat
        from nbconvert import HTMLExporter

        notebook = nbformat.read(executed, as_version=4)
        notebook.metadata.pop("widgets", None)  # they do nothing without a kernel
        content, _ = HTMLExporter().from_notebook_node(notebook)
    except Exception:  # a page less; the notebook itself is there
        return None
    # Scripts from elsewhere serve widgets only. Formulas need a network all the same (MathJax).
    content = re.sub(r'<script src="https?://[^"]*"></script>', "", content)
    with atomic_write(page, "w") as f:
        f.write(content)
    return page


def _table(title, heads, lines, note=""):
    if not lines:
        return ""
    return (
        f'<h2>{title}</h2>\n<div class="wide"><table><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{''.join(lines)}</tbody></table></div>\n{note}"
    )


def _difference(a, b):
    return a - b if isinstance(a, (int, float)) and isinstance(b, (int, float)) else None


def _number(value, digits):
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return _text(f"{value:.{digits}f}" if digits is not None else value)


def _text(value):
    return html.escape(str(value), quote=True)


def _address(run_dir, path):
    return quote(Path(path).relative_to(run_dir).as_posix())


def _link(run_dir, path, text):
    return f'<a href="{_address(run_dir, path)}">{text}</a>'


def _read(path, default):
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return default
    return content if isinstance(content, type(default)) else default


__all__ = ["VIEWS", "write_index"]
