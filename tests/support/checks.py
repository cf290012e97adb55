"""What several tests ask of a refusal: its kind and its words."""

import re

import pytest

from lowlight_lib.errors import CheckpointError
from lowlight_lib.training import checkpoint


def refuses(check, answer, words):
    """A check of the course does not take the answer, and says so in these words."""
    with pytest.raises(AssertionError, match=words):
        check(answer)


def complaint_of_load(key, path, **options):
    """The message that loading `path` as weights gives; it names the file."""
    with pytest.raises(CheckpointError, match=re.escape(str(path))) as caught:
        checkpoint.load(key, path, **options)
    return str(caught.value)
