"""From one camera's raw files, dark frames and flats, to its profile: `sensor.measure` on files.

docs/calibrate_your_camera.md says how to take them, calibrate.toml what is said of bad ones.
"""

from __future__ import annotations

import platform
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import __version__
from ..errors import LowlightError, OptionError
from . import cfa, measure
from .cameras import CAMERAS, Camera
from .raw import read_raw

WORDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_DARK = 0.01  # share of the scale below which a frame is dark


class Frame(NamedTuple):
    """What is kept of a file; levels are 0 at black and 1 at white."""

    path: Path
    level: float  # the median of `levels`
    levels: np.ndarray  # (8, 8), of its parts
    dark: bool


class IsoResult(NamedTuple):
    """What was measured at an ISO, from so many dark frames and pairs of flats."""

    iso: float
    darks: int
    pairs: int
    dark: measure.DarkNoise
    transfer: measure.PhotonTransfer


class Calibration(NamedTuple):
    """A measured camera: its profile, and where it comes from."""

    camera: Camera
    results: list[IsoResult]  # from the lowest ISO on
    lines: dict[str, tuple[measure.Measured, ...]]  # of gauss, tukey, row: slope, bias, sigma
    notes: list[str]  # caveats: what it means, what to do


def calibrate(folder: Path | str, progress=True) -> Calibration:
    """Measure the camera whose raw files lie in a folder.

    Files below folders named dark or flat are that; others are told apart by their level. Flats of
    one ISO and level make pairs. What is not as it should be is left out, or used, with a note.
    OptionError for frames of two cameras, sizes or filter arrays, or none that can be used.
    """
    from tqdm.auto import tqdm

    notes: list[str] = []
    frames, like = defaultdict(list), None
    files = [p for p in sorted(Path(folder).rglob("*")) if p.suffix not in (".toml", ".html")]
    for path in tqdm([p for p in files if p.is_file()], "look", disable=not progress):
        try:
            raw = read_raw(path)
        except LowlightError as e:
            notes.append(_note("unreadable", error=e))
            continue
        like = like or raw
        one, other = ((r.model, r.mosaic.shape, cfa.name(r.cfa)) for r in (like, raw))
        if one != other:
            what = f"is of another camera or size, {other}, than {like.path}, {one}"
            raise OptionError(what, file=path, todo="give the frames of one camera and setting")
        frame, unfit = _look(path, raw, str(path.relative_to(folder).parent).lower())
        if unfit:
            notes.append(_note(unfit, frame))
        else:
            frames[raw.iso].append(frame)
    isos = tqdm(sorted(frames), "measure", disable=not progress)
    results = [r for iso in isos if (r := _measure(iso, frames[iso], like, notes))]
    if not results:
        what = "\n  ".join(["holds no raw files of which an ISO can be measured", *notes])
        raise OptionError(what, file=folder, todo="see docs/calibrate_your_camera.md")
    return _summary(results, like, notes, folder)


def _note(name, frame=None, **facts):
    return WORDS["notes"][name].format(file=frame and frame.path.name, **facts)


def _look(path, raw, folder):
    """(Frame, why it cannot be used: a name in calibrate.toml, or None)."""
    (h, w), black = (size // 8 for size in raw.mosaic.shape), raw.black_level.mean()
    levels = raw.mosaic[: h * 8, : w * 8].reshape(8, h, 8, w).mean((1, 3)) - black
    levels /= raw.white_level - black
    level = float(np.median(levels))
    named = ("dark" in folder) != ("flat" in folder)
    frame = Frame(path, level, levels, "dark" in folder if named else level < _DARK)
    # A black level of 0 may only mean that nobody knows it.
    light = frame.dark and (np.ptp(levels) > _DARK or (black > 0 and level > _DARK))
    bad = (("no_iso", not raw.iso), ("light", light), ("clipped", level > 0.95),
           ("too_dark", not frame.dark and level < _DARK))  # fmt: skip
    return frame, next((name for name, true in bad if true), None)


def _pairs(flats, notes):
    alone, pairs = [], []
    for f in sorted(flats, key=lambda f: f.level):
        if alone and f.level < 1.2 * alone[-1].level:
            pairs.append((alone.pop(), f))
        else:
            alone.append(f)
    notes += [_note("alone", f) for f in alone]
    for a, b in pairs:
        if (off := float(np.abs(b.levels / np.maximum(a.levels, 1e-6) - 1).max())) > 0.02:
            notes.append(_note("flicker", a, off=off))
        if np.quantile(a.levels, 0.9) > 4 * np.quantile(a.levels, 0.1):
            notes.append(_note("uneven", a))
    return pairs


def _measure(iso, frames, like, notes):
    """The IsoResult of frames, or None where they do not do; what makes it doubtful is noted."""
    darks = sorted((f for f in frames if f.dark), key=lambda f: f.level)
    while darks and darks[-1].level > darks[0].level + _DARK / 2:
        notes.append(_note("light", darks.pop()))
    pairs, white = _pairs([f for f in frames if not f.dark], notes), like.white_level
    counts = {"iso": iso, "darks": len(darks), "pairs": len(pairs)}
    try:
        dark = measure.dark_noise([read_raw(f.path).mosaic for f in darks], like.cfa.shape)
        flats = [(read_raw(a.path).mosaic, read_raw(b.path).mosaic) for a, b in pairs]
        transfer = measure.photon_transfer(flats, dark.black, white, dark.variance, dark.fixed)
    except LowlightError as e:
        notes.append(_note("unmeasured", error=e.what, **counts))
        return None
    if len(darks) < 8 or len(pairs) < 3:
        notes.append(_note("few", **counts))
    for doubt in WORDS["doubts"]:
        part = {"dark": dark, "transfer": transfer}[doubt["part"]]
        found = (getattr(part, doubt.get(key, ""), 1.0) for key in ("value", "of"))
        x, limit = (m.value if isinstance(m, measure.Measured) else m for m in found)
        if abs(x) > doubt["above"] * limit:
            notes.append(f"ISO {iso:g}: {doubt['text'].format(x=x)}")
    return IsoResult(**counts, dark=dark, transfer=transfer)


def _summary(results, like, notes, folder):
    """The profile: K in proportion to the ISO, and the lines of the scales."""
    gains, isos = [r.transfer.gain for r in results], np.array([r.iso for r in results])
    bases = np.array([g.value for g in gains]) / isos * 100
    base = float(np.exp(np.log(bases).mean()))
    for iso, off in zip(isos, bases / base - 1, strict=True):
        if abs(off) > 0.1:
            notes.append(_note("proportion", iso=iso, off=off))
    lines = {}
    for name in ("gauss", "tukey", "row"):
        typical = np.median([getattr(c, name) for c in CAMERAS.values()], 0)
        lines[name] = measure.fit_line(gains, [getattr(r.dark, name) for r in results], typical)
    if len(isos) < 3:
        notes.append(_note("lines", n=len(isos)))
    if (matrix := like.color_matrix) is None:
        notes.append(_note("matrix"))
        matrix = CAMERAS["sony_a7s2"].color_matrix
    full = [r.transfer.saturation for r in results if r.transfer.saturation]
    fields: dict[str, Any] = {n: tuple(_short(m.value) for m in line) for n, line in lines.items()}
    fields["color_matrix"] = tuple(tuple(map(_short, row)) for row in matrix)
    camera = Camera(
        model=like.model or Path(folder).resolve().name,
        black_level=max(0, round(results[-1].dark.black_mean.value)),
        white_level=round(min([like.white_level, *full])),
        gain_range=(_short(base), _short(base * max(1, isos[-1] / 100))),
        tukey_shape=_short(np.median([r.dark.tukey_shape.value for r in results])),
        cfa_name=cfa.name(like.cfa).replace("-", "").upper(),
        **fields,
    )
    return Calibration(camera, results, lines, notes)


def _short(value):
    return float(f"{value:.6g}")


def filled(template: Path, calibration: Calibration, html=False, **more) -> str:
    """A calibration in the words of a template, such as profile.toml.jinja."""
    import jinja2
    import scipy

    text = template.read_text(encoding="utf-8")
    page = jinja2.Template(text, autoescape=html, trim_blocks=True, lstrip_blocks=True)
    versions = {"lowlight_lib": __version__, "python": platform.python_version(),
                "numpy": np.__version__, "scipy": scipy.__version__}  # fmt: skip
    return page.render(calibration._asdict(), versions=versions, **more)


def profile_text(calibration: Calibration) -> str:
    """A calibration in TOML, as `cameras.read_profile` reads it."""
    return filled(Path(__file__).with_name("profile.toml.jinja"), calibration)
