"""What papers and released code print, from published.toml, and scores of ours beside it."""

from __future__ import annotations

import tomllib
from pathlib import Path


def beside(rows, *models) -> list[dict]:
    """The published tables on these systems, all where none is named, with ours in them.

    Their rows are dicts of the columns, of "ours", the score with its data and protocol, and of
    "close": "yes", or what is different. Of `rows`, as results.json has them, the last counts that
    has a table's data set and amplification, before it one with its images or protocol too.
    """
    text = Path(__file__).with_name("published.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)["tables"]
    for table in tables:
        table["rows"] = [dict(zip(table["columns"], r, strict=True)) for r in table["rows"]]
        for row in table["rows"]:
            row["ours"], row["close"] = _ours(rows, table, row)
    return [t for t in tables if not models or {r["model"] for r in t["rows"]} & {*models}]


def html(rows, *models) -> str:
    """`beside` as a piece of a page: `IPython.display.HTML` shows it."""
    import jinja2

    template = Path(__file__).with_name("published.html.jinja").read_text(encoding="utf-8")
    page = jinja2.Template(template, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return page.render(tables=beside(rows, *models))


def _ours(rows, table, row):
    def differs(r):
        other = (name for name in ("images", "protocol") if r.get(name) != table.get(name))
        return ", ".join(f"other {name}" for name in other)

    of = {"model": row["model"], "dataset": table.get("dataset"), "split": "test"}
    of["amplification"] = table.get("amplification")
    mine = [r for r in reversed(rows) if {k: r.get(k) for k in of} == of]
    mine = [r for r in mine if isinstance(r.get("psnr"), float) and isinstance(r["ssim"], float)]
    mine = [r for r in mine if str(r.get("camera") or "").startswith(table.get("camera", ""))]
    if not mine:
        return "", ""
    best = min(mine, key=lambda r: len(differs(r)))
    made = f"{best.get('profile') or best.get('checkpoint')}, {best.get('images')} images"
    ours = f"{best['psnr']:.2f} / {best['ssim']:.3f} ({made}, {best.get('protocol')})"
    if differs(best) or "within" not in table:
        return ours, differs(best)
    off = [best[k] - row[k] for k in ("psnr", "ssim")]
    close = all(abs(d) <= most for d, most in zip(off, table["within"], strict=True))
    return ours, "yes" if close else f"{off[0]:+.2f} dB, {off[1]:+.3f}"
