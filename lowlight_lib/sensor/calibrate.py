"""From one camera's raw files, dark frames and flats, to its profile: `sensor.measure` on files.

docs/calibrate_your_camera.md says how to take them; calibrate.toml what is said of bad ones.
"""

from __future__ import annotations

import json
import platform
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import __version__
from ..errors import LowlightError, OptionError
from . import cfa as cfa_module
from .cameras import CAMERAS, Camera
from .measure import (
    DRAWS,
    DarkNoise,
    Measured,
    PhotonTransfer,
    dark_noise,
    fit_line,
    photon_transfer,
)
from .raw import RawImage, read_raw

_DARK = 0.01  # share of the scale below which a frame is dark
_GRID = 8  # a frame's levels are those of 8x8 parts of it
_WORDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_PROFILE = Path(__file__).with_name("profile.toml.jinja")


class Frame(NamedTuple):
    """What is kept of a file; `levels` (8, 8) are 0 at black and 1 at white."""

    path: Path
    iso: float
    dark: bool
    levels: np.ndarray
    level = property(lambda self: float(np.median(self.levels)))


class IsoResult(NamedTuple):
    """What was measured at an ISO; a part is None where the frames do not give it."""

    iso: float
    darks: int
    pairs: int
    dark: DarkNoise | None
    transfer: PhotonTransfer | None


class Calibration(NamedTuple):
    """A measured camera: its profile, and from where it comes."""

    camera: Camera
    results: tuple[IsoResult, ...]  # from the lowest ISO on
    lines: dict[str, tuple[Measured, Measured, Measured]]  # of gauss, tukey, row: see `fit_line`
    notes: tuple[str, ...]  # caveats: what it means, what to do


def calibrate(folder: Path | str, progress=True) -> Calibration:
    """Measure the camera whose raw files lie in a folder.

    Files below folders named dark or flat are that; others are told apart by their level. Flats of
    one ISO and level make pairs. What is not as it should be is left out, or used, with a note.

    Raises:
        OptionError: frames of two cameras, sizes or filters, or none that can be used.
    """
    from tqdm.auto import tqdm

    notes, frames, like = [], defaultdict(lambda: ([], [])), None
    files = (p for p in sorted(Path(folder).rglob("*")) if p.suffix not in (".toml", ".html"))
    for path in tqdm([p for p in files if p.is_file()], "look", disable=not progress):
        try:
            raw = read_raw(path)
        except LowlightError as e:
            _note(notes, "left_out", "unreadable", error=e)
            continue
        like = like or raw
        _refuse_other(raw, like)
        frame = _frame(path, raw, path.relative_to(folder).parts[:-1])
        if why := _unfit(frame, like):
            _note(notes, "left_out", why, file=path.name)
        else:
            frames[raw.iso][0 if frame.dark else 1].append(frame)
    results = []
    for iso, (darks, flats) in tqdm(sorted(frames.items()), "measure", disable=not progress):
        lowest = min((f.level for f in darks), default=0)
        for f in [f for f in darks if f.level > lowest + _DARK / 2]:
            _note(notes, "left_out", "light", file=f.path.name)
            darks.remove(f)
        results.append(_measure(iso, darks, _pairs(flats, notes), like, notes))
    return _summary(tuple(results), like, notes, folder)


def _note(notes, table, name, where="", **facts):
    before = "left out: " if table == "left_out" else where
    notes.append(before + _WORDS[table][name].format(**facts))


def _refuse_other(raw, like):
    for name, one, other in (
        ("camera", like.model, raw.model),
        ("size", like.mosaic.shape, raw.mosaic.shape),
        ("filter array", like.cfa.tolist(), raw.cfa.tolist()),
    ):
        if one != other:
            what = f"is of another {name} than {like.path}: {other}, not {one}"
            raise OptionError(what, file=raw.path, todo="give a folder with frames of one camera")


def _frame(path, raw, folders):
    black, n = float(raw.black_level.mean()), _GRID
    h, w = (s // n for s in raw.mosaic.shape)
    levels = raw.mosaic[: h * n, : w * n].reshape(n, h, n, w).mean((1, 3))
    levels = (levels - black) / (raw.white_level - black)
    told = [kind for kind in ("dark", "flat") if kind in " ".join(folders).lower()]
    dark = told == ["dark"] if len(told) == 1 else np.median(levels) < _DARK
    return Frame(path, raw.iso, bool(dark), levels)


def _unfit(frame, like):
    """Why a frame cannot be used, a name in calibrate.toml, or None."""
    if not frame.iso:
        return "no_iso"
    if frame.dark:
        says_black = like.black_level.any()  # else 0 may only mean that nobody knows it
        light = frame.level > _DARK if says_black else np.ptp(frame.levels) > _DARK
        return "light" if light or np.ptp(frame.levels) > _DARK else None
    return "too_dark" if frame.level < _DARK else "clipped" if frame.level > 0.95 else None


def _pairs(flats, notes):
    alone, pairs = [], []
    for f in sorted(flats, key=lambda f: f.level):
        if alone and f.level < 1.2 * alone[-1].level:
            pairs.append((alone.pop(), f))
        else:
            alone.append(f)
    for f in alone:
        _note(notes, "left_out", "alone", file=f.path.name)
    for a, b in pairs:
        off = float(np.abs(b.levels / np.maximum(a.levels, 1e-6) - 1).max())
        if off > 0.02:
            _note(notes, "pair", "flicker", file=a.path.name, off=off)
        if np.quantile(a.levels, 0.9) > 4 * np.quantile(a.levels, 0.1):
            _note(notes, "pair", "uneven", file=a.path.name)
    return pairs


def _measure(iso, darks, pairs, like: RawImage, notes):
    black = cfa_module.tile(like.black_level, like.cfa.shape)
    dark = transfer = None
    where = f"ISO {iso:g}: "
    if len(darks) > 1:
        dark = dark_noise([read_raw(f.path).mosaic for f in darks], like.cfa.shape)
    if pairs:
        flats = [tuple(read_raw(f.path).mosaic for f in pair) for pair in pairs]
        known = (dark.variance, dark.fixed) if dark else ()
        try:
            at = dark.black if dark else black
            transfer = photon_transfer(flats, at, like.white_level, *known)
        except OptionError as e:
            _note(notes, "iso", "failed", where, error=e)
    result = IsoResult(iso, len(darks), len(pairs), dark, transfer)
    doubts = [
        ("no_darks", not dark),
        ("no_flats", not transfer),
        ("few", dark and transfer and (len(darks) < 8 or len(pairs) < 3)),
    ]
    if dark:
        doubts += [
            ("at_zero", dark.at_zero > 1e-3),
            ("rounding", dark.gauss.value < 0.5 * dark.step),
            ("hot", dark.hot > 1e-3),
            ("fixed", dark.fixed > 0.3 * dark.gauss.value),
            ("columns", dark.column.value > 0.1 * dark.gauss.value),
            ("black", black.any() and abs(dark.black_mean.value - black.mean()) > 4),
            ("dark_alike", abs(dark.correlation) > 0.05),
        ]
    if transfer:
        doubts += [
            ("flat_alike", abs(transfer.correlation) > 0.05),
            ("bent", abs(transfer.linearity) > max(0.05, 4 * transfer.chance)),
            ("gaps", transfer.gaps > 0.1),
            ("blocks", transfer.left_out > 0.3),
        ]
    facts = {"result": result, "dark": dark, "transfer": transfer, "black": black.mean()}
    for name in (name for name, true in doubts if true):
        _note(notes, "iso", name, where, **facts)
    return result


def _summary(results, like, notes, folder):
    """The profile: K in proportion to the ISO, and the lines of the scales."""
    with_dark, with_gain = ([r for r in results if r[k]] for k in (3, 4))
    if not (with_dark and with_gain):
        what = "pair of flats" if with_dark else "two dark frames of one ISO"
        what += "".join(f"\n  {note}" for note in notes)
        todo = (
            "take 8 dark frames and 3 pairs of flats at an ISO, see docs/calibrate_your_camera.md"
        )
        raise OptionError(f"holds no usable {what}", file=folder, todo=todo)
    base = np.exp(np.mean([np.log(r.transfer.gain.value / r.iso * 100) for r in with_gain]))
    for r in with_gain:
        if abs(off := r.transfer.gain.value * 100 / r.iso / base - 1) > 0.1:
            _note(notes, "all", "proportion", iso=r.iso, off=off)
    gains = [r.transfer.gain if r.transfer else _exact(base * r.iso / 100) for r in with_dark]
    lines = {}
    for name in ("gauss", "tukey", "row"):
        scales = [getattr(r.dark, name) for r in with_dark]
        slope, _, sigma = map(_exact, np.median([getattr(c, name) for c in CAMERAS.values()], 0))
        if len(gains) > 1:
            slope, bias, left = fit_line(gains, scales)
            sigma = left if len(gains) > 2 else sigma
        else:
            (k, ks), (s, ss) = gains[0], scales[0]
            value = np.log(s) - slope.value * np.log(k)
            bias = Measured(float(value), np.log(ss) - slope.value * np.log(ks))
        lines[name] = slope, bias, sigma
    if len(gains) < 3:
        _note(notes, "all", "line", n=len(gains))
    blacks = [r.dark.black_mean.value for r in with_dark]
    if np.ptp(blacks) > 1:
        _note(notes, "all", "black_moves", low=min(blacks), high=max(blacks))
    matrix = like.color_matrix
    if matrix is None:
        _note(notes, "all", "matrix")
        matrix = CAMERAS["sony_a7s2"].color_matrix
    full = [r.transfer.saturation for r in with_gain if r.transfer.saturation]
    top = max(1, max(r.iso for r in results) / 100)
    camera = Camera(
        model=like.model or Path(folder).resolve().name,
        black_level=max(0, round(blacks[-1])),
        white_level=round(min([like.white_level, *full])),
        color_matrix=tuple(tuple(_short(v) for v in row) for row in np.asarray(matrix)),
        gain_range=(_short(base), _short(base * top)),
        **{name: tuple(_short(m.value) for m in line) for name, line in lines.items()},
        tukey_shape=_short(np.median([r.dark.tukey_shape.value for r in with_dark])),
        cfa_name=cfa_module.name(like.cfa).replace("-", "").upper(),
    )
    return Calibration(camera, results, lines, tuple(notes))


def _exact(value):
    return Measured(float(value), np.full(DRAWS, float(value)))


def _short(value):
    return float(f"{value:.5g}")


def profile_text(calibration: Calibration) -> str:
    """A calibration in TOML, as `cameras.read_profile` reads it: profile.toml.jinja, filled."""
    import jinja2
    import scipy

    def listed(value):
        value = _short(value) if isinstance(value, float) else value
        value = value.round(3).tolist() if isinstance(value, np.ndarray) else value
        return json.dumps(value, ensure_ascii=False)

    env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    env.filters["listed"] = listed
    env.filters["interval"] = lambda m: json.dumps([_short(v) for v in (m.value, *m.interval)])
    packages = {"lowlight_lib": __version__, "python": platform.python_version()}
    packages |= {"numpy": np.__version__, "scipy": scipy.__version__}
    template = env.from_string(_PROFILE.read_text(encoding="utf-8"))
    return template.render(calibration._asdict(), versions=packages)
