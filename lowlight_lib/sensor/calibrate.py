"""From one camera's raw files, dark frames and flats, to its profile: `sensor.measure` on files.

docs/calibrate_your_camera.md says how to take them, calibrate.toml what is said of bad ones.
"""

from __future__ import annotations

import json
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
_GRID = 8  # a frame's levels are those of 8x8 parts of it


class Frame(NamedTuple):
    """What is kept of a file; `levels` (8, 8) are 0 at black and 1 at white."""

    path: Path
    iso: float | None
    dark: bool
    levels: np.ndarray
    level = property(lambda self: float(np.median(self.levels)))


class IsoResult(NamedTuple):
    """What was measured at an ISO; a part is None where the frames do not give it."""

    iso: float
    darks: int
    pairs: int
    dark: measure.DarkNoise | None
    transfer: measure.PhotonTransfer | None
    drift: float  # measured black less that of the files, DN; 0 where they do not say it


class Calibration(NamedTuple):
    """A measured camera: its profile, and where it comes from."""

    camera: Camera
    results: list[IsoResult]  # from the lowest ISO on
    lines: dict[str, tuple[measure.Measured, ...]]  # of gauss, tukey, row: slope, bias, sigma
    notes: list[str]  # caveats: what it means, what to do


class _Notes(list):
    def say(self, name, frame=None, **facts):
        file = frame and frame.path.name
        self.append(WORDS["notes"][name].format(file=file, **facts))


def calibrate(folder: Path | str, progress=True) -> Calibration:
    """Measure the camera whose raw files lie in a folder.

    Files below folders named dark or flat are that; others are told apart by their level. Flats of
    one ISO and level make pairs. What is not as it should be is left out, or used, with a note.
    OptionError for frames of two cameras, sizes or filter arrays, or none that can be used.
    """
    from tqdm.auto import tqdm

    notes, frames, like = _Notes(), defaultdict(lambda: ([], [])), None
    files = [p for p in sorted(Path(folder).rglob("*")) if p.suffix not in (".toml", ".html")]
    for path in tqdm([p for p in files if p.is_file()], "look", disable=not progress):
        try:
            raw = read_raw(path)
        except LowlightError as e:
            notes.say("unreadable", error=e)
            continue
        like = like or raw
        one, other = ((r.model, r.mosaic.shape, cfa.name(r.cfa)) for r in (like, raw))
        if one != other:
            what = f"is of another camera or size, {other}, than {like.path}, {one}"
            raise OptionError(what, file=path, todo="give the frames of one camera and setting")
        frame = _look(path, raw, str(path.relative_to(folder).parent).lower())
        if why := _unfit(frame, like):
            notes.say(why, frame)
        else:
            frames[raw.iso][0 if frame.dark else 1].append(frame)
    measured = [_measure(iso, *frames[iso], like, notes)
                for iso in tqdm(sorted(frames), "measure", disable=not progress)]  # fmt: skip
    return _summary(measured, like, notes, folder)


def _look(path, raw, folder):
    black, n = float(raw.black_level.mean()), _GRID
    h, w = (s // n for s in raw.mosaic.shape)
    levels = raw.mosaic[: h * n, : w * n].reshape(n, h, n, w).mean((1, 3))
    levels = (levels - black) / (raw.white_level - black)
    dark = np.median(levels) < _DARK
    if ("dark" in folder) != ("flat" in folder):
        dark = "dark" in folder
    return Frame(path, raw.iso, bool(dark), levels)


def _unfit(frame, like):
    """Why a frame cannot be used, a name in calibrate.toml, or None."""
    if not frame.iso:
        return "no_iso"
    if not frame.dark:
        return "too_dark" if frame.level < _DARK else "clipped" if frame.level > 0.95 else None
    knows_black = like.black_level.any()  # 0 may only mean that nobody does
    light = np.ptp(frame.levels) > _DARK or (knows_black and frame.level > _DARK)
    return "light" if light else None


def _pairs(flats, notes):
    alone, pairs = [], []
    for f in sorted(flats, key=lambda f: f.level):
        if alone and f.level < 1.2 * alone[-1].level:
            pairs.append((alone.pop(), f))
        else:
            alone.append(f)
    for f in alone:
        notes.say("alone", f)
    for a, b in pairs:
        if (off := float(np.abs(b.levels / np.maximum(a.levels, 1e-6) - 1).max())) > 0.02:
            notes.say("flicker", a, off=off)
        if np.quantile(a.levels, 0.9) > 4 * np.quantile(a.levels, 0.1):
            notes.say("uneven", a)
    return pairs


def _measure(iso, darks, flats, like, notes):
    """The IsoResult of frames, and what makes it doubtful."""
    lowest = min((f.level for f in darks), default=0)
    for f in [f for f in darks if f.level > lowest + _DARK / 2]:
        notes.say("light", darks.pop(darks.index(f)))
    pairs, says = _pairs(flats, notes), cfa.tile(like.black_level, like.cfa.shape)
    dark, transfer, error = None, None, ""
    if len(darks) > 1:
        dark = measure.dark_noise([read_raw(f.path).mosaic for f in darks], says.shape)
    mosaics = [tuple(read_raw(f.path).mosaic for f in pair) for pair in pairs]
    known = {"floor": dark.variance, "fixed": dark.fixed} if dark else {}
    black: Any = dark.black if dark else says
    try:
        if mosaics:
            transfer = measure.photon_transfer(mosaics, black, like.white_level, **known)
    except LowlightError as e:
        error = f" ({e.what})"
    drift = dark.black_mean.value - float(says.mean()) if dark and says.any() else 0.0
    result = IsoResult(iso, len(darks), len(pairs), dark, transfer, drift)
    facts = result._asdict() | {"error": error}
    for name, true in (
        ("no_darks", not dark),
        ("no_flats", not transfer),
        ("few", dark and transfer and (len(darks) < 8 or len(pairs) < 3)),
    ):
        if true:
            notes.say(name, **facts)
    for doubt in WORDS["doubts"]:
        if part := {"result": result, "dark": dark, "transfer": transfer}[doubt["part"]]:
            x, limit = (_number(part, doubt.get(k)) for k in ("value", "of"))
            if abs(x) > doubt["above"] * limit:
                notes.append(f"ISO {iso:g}: {doubt['text'].format(x=x)}")
    return result


def _number(part, name):
    x = getattr(part, name) if name else 1.0
    return x.value if isinstance(x, measure.Measured) else x


def _summary(results, like, notes, folder):
    """The profile: K in proportion to the ISO, and the lines of the scales."""
    with_dark, with_gain = [r for r in results if r.dark], [r for r in results if r.transfer]
    if not (with_dark and with_gain):
        what = "pair of flats" if with_dark else "two dark frames of one ISO"
        what = f"holds no usable {what}" + "".join(f"\n  {note}" for note in notes)
        what = what if results else "holds no raw files that can be used"
        todo = "take 8 dark frames and 3 pairs of flats, as docs/calibrate_your_camera.md says"
        raise OptionError(what, file=folder, todo=todo)
    base = np.exp(np.mean([np.log(r.transfer.gain.value / r.iso * 100) for r in with_gain]))
    for r in with_gain:
        if abs(off := r.transfer.gain.value * 100 / r.iso / base - 1) > 0.1:
            notes.say("proportion", iso=r.iso, off=off)
    gains = [r.transfer.gain if r.transfer else _exact(base * r.iso / 100) for r in with_dark]
    lines = {}
    for name in ("gauss", "tukey", "row"):
        typical = np.median([getattr(c, name) for c in CAMERAS.values()], 0)
        lines[name] = measure.fit_line(gains, [getattr(r.dark, name) for r in with_dark], typical)
    if len(gains) < 3:
        notes.say("lines", n=len(gains))
    blacks = [r.dark.black_mean.value for r in with_dark]
    if np.ptp(blacks) > 1:
        notes.say("moves", low=min(blacks), high=max(blacks))
    matrix = like.color_matrix
    if matrix is None:
        notes.say("matrix")
        matrix = CAMERAS["sony_a7s2"].color_matrix
    full = [r.transfer.saturation for r in with_gain if r.transfer.saturation]
    top = max(1, max(r.iso for r in results) / 100)
    fields: dict[str, Any] = {n: tuple(_short(m.value) for m in line) for n, line in lines.items()}
    camera = Camera(
        model=like.model or Path(folder).resolve().name,
        black_level=max(0, round(blacks[-1])),
        white_level=round(min([like.white_level, *full])),
        color_matrix=tuple((_short(x), _short(y), _short(z)) for x, y, z in matrix),  # type: ignore
        gain_range=(_short(base), _short(base * top)),
        tukey_shape=_short(np.median([r.dark.tukey_shape.value for r in with_dark])),
        cfa_name=cfa.name(like.cfa).replace("-", "").upper(),
        **fields,
    )
    return Calibration(camera, results, lines, list(notes))


def _exact(value):
    return measure.Measured(float(value), np.full(measure.DRAWS, float(value)))


def _short(value):
    return float(f"{value:.6g}")


def profile_text(calibration: Calibration) -> str:
    """A calibration in TOML, as `cameras.read_profile` reads it: profile.toml.jinja, filled."""
    import jinja2
    import scipy

    def listed(x: Any):
        if isinstance(x, measure.Measured):
            x = [_short(v) for v in (x.value, *x.interval)]
        elif isinstance(x, np.ndarray):
            x = x.round(3).tolist()
        return json.dumps(_short(x) if isinstance(x, float) else x, ensure_ascii=False)

    env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    env.filters["listed"] = listed
    packages = {"lowlight_lib": __version__, "python": platform.python_version()}
    packages |= {"numpy": np.__version__, "scipy": scipy.__version__}
    template = Path(__file__).with_name("profile.toml.jinja").read_text(encoding="utf-8")
    return env.from_string(template).render(calibration._asdict(), versions=packages)
