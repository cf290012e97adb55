"""What holds of every check, whatever its exercise is."""

import inspect
import json
import traceback

import pytest
from support.checks import refuses
from support.notebook_files import NOTEBOOKS

from lowlight_lib.blocks.amplifier import bin_edges, bin_weights
from lowlight_lib.blocks.packing import unpack
from lowlight_lib.course import checks
from lowlight_lib.course.checks import common

EVERY = [name for name, f in vars(checks).items() if inspect.isfunction(f) and name[0] != "_"]
ROWS = [{"group": "100", "psnr": 20.0, "baseline_psnr": 19.0}]
MORE = {  # what the notebook passes beside the function
    "weight_of": (bin_edges(), bin_weights()),
    "source_of_row": (unpack,),
    "stream": (lambda frame: frame, lambda *window: window, lambda frame, *_: frame),
    "gain_of_best_and_worst": (ROWS,),
    "two_means": (ROWS,),
}


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda p: p.stem)
def test_a_notebook_calls_its_own_checks_and_all_of_them(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    module = f"{checks.__name__}.n{path.stem}"
    own = {name for name in EVERY if getattr(checks, name).__module__ == module}
    assert own == {name for name in EVERY if f"checks.{name}(" in code} and own


@pytest.mark.parametrize("name", [n for n in EVERY if n != "where_it_goes"])  # None is an answer
def test_a_forgotten_return_is_named(name):
    refuses(getattr(checks, name), lambda *_: None, "`return`", *MORE.get(name, ()))


def test_an_answer_of_another_shape_is_told_so():
    for truth, answer, said in (((1, 2), (1,), r"shape \(2,\)"), (1.0, (1, 2), "one number")):
        with pytest.raises(AssertionError, match=f"Return .*{said}"):
            common.Judge(lambda answer=answer: answer, (), truth)


@pytest.mark.parametrize("error", [AssertionError, NotImplementedError])
def test_an_error_does_not_quote_the_solution(error):
    def answer(mean, share):
        if error is NotImplementedError:
            raise NotImplementedError("your answer")
        return 0.05 / mean

    with pytest.raises(error, match=r"your answer|without its lamp") as caught:
        checks.shortcut_with_lamp(answer)
    assert "truth" not in "".join(traceback.format_exception(caught.value))


def test_an_error_in_the_answer_shows_where_it_is():
    with pytest.raises(ZeroDivisionError, match="zero") as caught:
        checks.best_x(lambda image, product, weight: weight / 0)
    assert "weight / 0" in "".join(traceback.format_exception(caught.value))
