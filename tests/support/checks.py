"""What several tests ask of a refusal: its kind and its words."""

import re

import pytest

from lowlight_lib.course import checks
from lowlight_lib.errors import CheckpointError
from lowlight_lib.training import checkpoint


def refuses(check, answer, words, *more):
    """The check does not take the answer, and says so in these words."""
    with pytest.raises(AssertionError, match=words):
        check(answer, *more)


def laws(right, wrong):
    """Two tests: right answers are praised, wrong ones get a hint.

    Args:
        right: {check: (answer, further arguments of the check ...)}.
        wrong: [(check, answer, words of the hint), ...].
    """

    @pytest.mark.parametrize("name", right)
    def right_answers_are_praised(name, capsys):
        getattr(checks, name)(*right[name])
        assert capsys.readouterr().out.startswith("Right")

    @pytest.mark.parametrize(
        "name, answer, words", wrong, ids=[f"{name}-{words}" for name, _, words in wrong]
    )
    def wrong_answers_get_a_hint(name, answer, words):
        refuses(getattr(checks, name), answer, words, *right[name][1:])

    return right_answers_are_praised, wrong_answers_get_a_hint


def complaint_of_load(key, path, **options):
    """The message that loading `path` as weights gives; it names the file."""
    with pytest.raises(CheckpointError, match=re.escape(str(path))) as caught:
        checkpoint.load(key, path, **options)
    return str(caught.value)
