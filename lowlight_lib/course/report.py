"""The page that shows what a run of the course did: index.html in the folder of the run.

It opens from the disk, without a server; all that comes from a notebook or a file is escaped.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import re
from pathlib import Path

from ..errors import DataError, LowlightError
from ..io.files import atomic_write
from ..models import SYSTEMS
from . import pages

STARTED = "%Y-%m-%d_%H-%M-%S"  # how a run names its start, and its folder once it is set aside
VIEWS = ("input", "baseline", "result", "target")

_PICTURE = re.compile(rf"(?P<name>.+)_(?P<view>{'|'.join(VIEWS)})(?:_(?P<variant>[a-z0-9.]+))?")


def write_index(run_dir) -> Path:
    """Write index.html for the run in `run_dir`, and an HTML rendering of each executed notebook.

    It is a folder that `run_course` filled, or is filling, with pictures NAME_VIEW.png and videos
    NAME.mp4 in folders `pictures`. A missing or damaged file leaves its section out. Returns the
    path of index.html; OutputError where it cannot be written.
    """
    import jinja2

    from ..evaluation import published
    from ..evaluation.results import read_rows

    run_dir = Path(run_dir)
    state, rows = read_state(run_dir) or {}, []
    with contextlib.suppress(DataError):
        rows = read_rows(run_dir / "results.json")
    entries = state.get("notebooks", {}).items()
    links = {name: _links(run_dir / f"{name}.ipynb", entry) for name, entry in entries}
    facts = {"state": state, "entries": entries, "links": links, "rows": rows, "shown": _shown}
    template = Path(__file__).with_name("report.html.jinja").read_text(encoding="utf-8")
    page = jinja2.Template(template, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    tested = [key for key in SYSTEMS if any(row.get("model") == key for row in rows)]
    facts["verdicts"] = [] if state.get("profile") == "smoke" else list(_verdicts(rows))
    facts["published"] = published.html(rows, *tested) if tested else ""
    # The fullest first: its picture opens the page.
    folders = sorted(
        _folders(run_dir, rows), key=lambda f: -max(map(len, f["groups"].values()), default=0)
    )
    page = page.render(facts, folders=folders)
    with atomic_write(run_dir / "index.html") as f:
        f.write(page.encode("utf-8", "backslashreplace"))
    return run_dir / "index.html"


def read_state(run_dir) -> dict | None:
    """What state.json says of a run; None where there is none, or one that no run has written."""
    try:
        state = json.loads(Path(run_dir, "state.json").read_text(encoding="utf-8"))
        datetime.datetime.strptime(state.get("started", "1970-01-01_00-00-00"), STARTED)
        for facts in (state.get("parameters"), state.get("versions")):
            _ = (facts or {}).items()
        for entry in state.get("notebooks", {}).values():
            _ = entry.get("status", "") + "", entry.get("seconds", 0) + 0.0
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return state


def _links(executed, entry):
    """[(text, address)] of what can be opened of a notebook."""
    if not executed.exists():
        return []
    # Only of what is complete: papermill rewrites the notebook after every cell.
    page = None if entry.get("status") == "running" else _render(executed)
    return [*([("read", page.name)] if page else []), ("notebook", executed.name)]


def _verdicts(rows):
    """A sentence for each test: what its network gains over the best without one."""
    from ..evaluation import statistics

    for row in rows:
        images = row.get("per_image") or []
        columns = [[r.get(k) for r in images] for k in ("psnr", "rival_psnr", "scene")]
        with contextlib.suppress(LowlightError, TypeError, ValueError):  # too few scenes, no rival
            found = statistics.paired(*columns)
            low, high = found.t_interval
            certain = "better" if low > 0 else "worse" if high < 0 else "neither better nor worse"
            yield (
                f"{row.get('model')} on {row.get('dataset')}: {found.mean:+.2f} dB over the best "
                f"without a network ({row.get('rival')}), 95 % interval {low:+.2f} to {high:+.2f} "
                f"over {found.scenes} scenes: {certain}, as far as they tell."
            )


def _folders(run_dir, rows):
    """What each folder `pictures` holds, the pictures grouped by what they show."""
    for folder in sorted(p for p in run_dir.rglob("pictures") if p.is_dir()):
        where, scores, groups = folder.parent.relative_to(run_dir).as_posix(), {}, {}
        for row in rows:
            its_own = row.get("model") and where.endswith(f"_{row['model']}")
            if its_own and row.get("amplification") == "ratio":
                for r in row.get("per_image") or ():
                    scores[r.get("name"), "result"] = r.get("psnr")
                    scores[r.get("name"), "baseline"] = r.get("baseline_psnr")
        for path in sorted(folder.glob("*.png")):
            if path.name.isprintable() and (match := _PICTURE.fullmatch(path.stem)):
                name, view, variant = match.groups()
                score = None if variant else scores.get((name, view))
                # The four of the true ratio stand side by side, other variants behind them.
                place = variant or "", VIEWS.index(view)
                caption = f"{view} ({variant})" if variant else view
                picture = path.relative_to(run_dir).as_posix(), caption, score
                groups.setdefault(name, {})[place] = picture
        groups = {name: [views[k] for k in sorted(views)] for name, views in groups.items()}
        videos = [(p.relative_to(run_dir).as_posix(), p.stem) for p in sorted(folder.glob("*.mp4"))]
        if groups or videos:
            yield {"where": where, "groups": groups, "videos": videos}


def _render(executed):
    """The notebook as a page beside it, or None where it cannot be converted."""
    page = executed.with_suffix(".html")
    if page.exists() and page.stat().st_mtime >= executed.stat().st_mtime:
        return page
    try:
        import nbformat

        content = pages.html(nbformat.read(executed, as_version=4))
    except Exception:  # a page less; the notebook itself is there
        return None
    with atomic_write(page, "w") as f:
        f.write(content)
    return page


def _shown(value, digits):
    if value is None or value != value:  # NaN
        return "–"
    return f"{value:.{digits}f}" if digits is not None and isinstance(value, float) else str(value)
