"""What tests of the course's checks share."""

import pytest


def refuses(check, answer, words):
    """The check does not take the answer, and says so in these words."""
    with pytest.raises(AssertionError, match=words):
        check(answer)
