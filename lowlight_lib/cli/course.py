"""`lowlight course run` and `lowlight course student`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Force, Profile, split_assignment

app = typer.Typer(help="Run the notebooks, or write the students' copies.", no_args_is_help=True)


@app.command()
def run(
    profile: Profile = "course",
    only: Annotated[list[str], typer.Option(
        help="Only these notebooks: 10, or 10_train_test_stills.")] = [],  # noqa: B006
    parameters: Annotated[list[str], typer.Option(
        "-p", metavar="NAME=VALUE", help="A notebook's parameter, e.g. -p model=redi.")] = [],  # noqa: B006
    data: Annotated[Path | None, typer.Option(
        help="Data root; default: mini data, made if absent.")] = None,
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("runs/latest"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on where it was.")] = False,
    cell_timeout: Annotated[int | None, typer.Option(
        min=1, metavar="SECONDS", help="How long a cell may run.",
        show_default="an hour in smoke, a day in course, else sixty days")] = None,
):  # fmt: skip
    """Run the course without a screen; open OUT/index.html afterwards."""
    from ..course.run import run_course

    given = dict(split_assignment(p) for p in parameters)
    options = {"out": out, "resume": resume, "cell_timeout": cell_timeout}
    raise typer.Exit(run_course(profile, ",".join(only), given, data, **options))


@app.command()
def student(
    out: Annotated[Path, typer.Argument(help="Folder for the copies.")],
    force: Force = False,
):
    """Write the students' copies of the notebooks: without the solutions."""
    from ..course.students import student_copies

    copies = student_copies(None, out, force=force)
    print(f"{len(copies)} notebooks in {out}")
