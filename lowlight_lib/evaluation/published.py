"""What papers and released code print, from published.toml, and scores of ours beside it."""

from __future__ import annotations

import tomllib
from pathlib import Path


def beside(rows, *models) -> list[dict]:
    """The published tables on these systems, all where none is named, with ours in them.

    Args:
        rows: of results.json. Of a system's tests with a table's data set and amplification that
            with its number of images and its protocol counts, else the last.
    Returns:
        The tables of published.toml. Their rows are dicts of the columns, and "ours", in words,
        with its data and protocol, and "close": "yes", or what is different. A test can be close
        enough only where camera, images and protocol are the same.
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
    wanted = {"model": row["model"], "dataset": table.get("dataset"), "split": "test"}
    mine = [
        r
        for r in reversed(rows)
        if all(r.get(k) == v for k, v in wanted.items())
        and (r.get("amplification") or "") == table.get("amplification")
        and all(isinstance(r.get(k), float) for k in ("psnr", "ssim"))
    ]
    if not mine:
        return "", ""

    def other(r):
        """What is different in how a test was made."""
        same = str(r.get("camera") or "").startswith(table.get("camera", ""))
        yield from ["other images"] * (not same or r.get("images") != table.get("images"))
        yield from ["other protocol"] * (r.get("protocol") != table.get("protocol"))

    best = min(mine, key=lambda r: len([*other(r)]))
    made = best.get("profile") or best.get("checkpoint") or "pictures"
    ours = f"{best['psnr']:.2f} / {best['ssim']:.3f} ({made}, {best.get('images')} images, "
    ours += f"{best.get('protocol')})"
    if differs := ", ".join(other(best)):
        return ours, differs
    off = [best[k] - row[k] for k in ("psnr", "ssim")]
    close = all(abs(d) <= most for d, most in zip(off, table["within"], strict=True))
    return ours, "yes" if close else f"{off[0]:+.2f} dB, {off[1]:+.3f}"
