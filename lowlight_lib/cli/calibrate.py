"""`lowlight calibrate`: a camera's profile from dark frames and flats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import OptionError, OutputError
from .options import Force


def calibrate(
    folder: Annotated[Path, typer.Argument(show_default=False, help="Raw files of one camera: "
        "dark frames and pairs of evenly lit flats, in dark/ and flat/ or told by their level.")],
    out: Annotated[Path, typer.Option("-o", "--out", show_default=False,
        help="The profile, mycam.toml; a page to read, mycam.html, is put beside it.")],
    force: Force = False,
):  # fmt: skip
    """Measure a camera: gain, black level, read and row noise, as a profile to simulate it.

    The profile is taken wherever a camera is named. docs/calibrate_your_camera.md says how the
    frames are taken: ten minutes, a lens cap and a white wall.
    """
    from ..course.calibration import write_page
    from ..io.files import atomic_write
    from ..sensor import calibrate

    if out.suffix != ".toml":
        raise OptionError(f"a profile is written as NAME.toml, not {out.name!r}")
    page = out.with_suffix(".html")
    for path in () if force else filter(Path.exists, (out, page)):
        raise OutputError("exists already", file=path, todo="use --force, or -o")
    done = calibrate.calibrate(folder)
    with atomic_write(out, "w") as f:
        f.write(calibrate.profile_text(done))
    write_page(done, page)
    for note in done.notes:
        print(f"note: {note}")
    for result in done.results:
        print(calibrate.WORDS["line"].format(**result._asdict()))
    print(f"{out}: {done.camera.model}; {page} shows how well it fits")
