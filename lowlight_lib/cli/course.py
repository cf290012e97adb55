"""`lowlight course run`, `student` and `grade`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Force, Profile, split_assignment

app = typer.Typer(
    help="Run the notebooks, write the students' copies, grade them.", no_args_is_help=True
)


@app.command()
def run(
    profile: Profile = "course",
    only: Annotated[list[str], typer.Option(
        help="Only these notebooks: 11, or 11_train_test_stills.")] = [],  # noqa: B006
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
    colab: Annotated[str | None, typer.Option(
        metavar="ADDRESS", help="The folder on GitHub that the copies will be in, for links that"
        " open them on Colab: https://github.com/YOU/CLASS/tree/main/week1")] = None,
    force: Force = False,
):  # fmt: skip
    """Write the students' copies of the notebooks: without the solutions."""
    from ..course.students import student_copies

    copies = student_copies(None, out, force=force, colab=colab)
    print(f"{len(copies)} notebooks in {out}")


@app.command()
def grade(
    submissions: Annotated[Path, typer.Argument(
        help="A folder of folders, one a student, or of notebooks, one a student.")],
    out: Annotated[Path, typer.Option(
        "-o", "--out", help="The table: a row for each exercise.")] = Path("grades.csv"),
    jobs: Annotated[int, typer.Option(min=1, help="Processes at a time.")] = 1,
    timeout: Annotated[float, typer.Option(
        min=1, metavar="SECONDS", help="How long one exercise may take.")] = 20,
):  # fmt: skip
    """Run the exercises of submitted notebooks in the course's own, and write points and reasons.

    Submissions are programs: grade in an account or a container that may be lost.
    """
    from ..course import grade as grading

    rows = grading.grade(submissions, out, jobs, timeout)
    for row in grading.summary(rows):
        print("{:9} {:24} right {right} of {tried} tried, {points} of {of} points".format(
            row["what"], row["name"], **row))  # fmt: skip
    print(f"{out}: a row for each exercise; {out.stem}_summary{out.suffix}: these totals")
    if broken := sorted({r["verdict"] for r in rows if r["verdict"].startswith(grading.NOT_RUN)}):
        print(*broken, sep="\n")
        raise typer.Exit(1)
