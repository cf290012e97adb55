"""The errors this library raises on purpose: what is wrong, in which file, and what to do.

Everything derives from `LowlightError`, so a caller that works through many files can catch one
class, report, and go on with the next file. The module imports nothing.
"""


class LowlightError(Exception):
    """An error that the user can act on.

    Args:
        what: what is wrong, one sentence, no trailing full stop needed.
        file: the file or folder it is about, if there is one.
        todo: what the user can do about it.

    >>> print(LowlightError("is empty (0 bytes)", file="a.dng", todo="copy it again"))
    a.dng: is empty (0 bytes). To fix: copy it again
    """

    def __init__(self, what: object, *, file: object = None, todo: str | None = None) -> None:
        self.what, self.file, self.todo = str(what).rstrip("."), file, todo
        text = self.what if file is None else f"{file}: {self.what}"
        super().__init__(text if todo is None else f"{text}. To fix: {todo}")

    def __reduce__(self):  # keyword-only arguments do not survive pickling by default
        return (_rebuild, (type(self), self.what, self.file, self.todo))


def _rebuild(kind, what, file, todo):
    return kind(what, file=file, todo=todo)


class RawFileError(LowlightError):
    """A camera file cannot be read: missing, empty, truncated, or not a raw file at all."""


class UnsupportedRawError(RawFileError):
    """A raw file that decodes, but not to a colour filter array that this library works on."""


class ShapeError(LowlightError, ValueError):
    """An array has a shape or type that the operation cannot take."""


class DataError(LowlightError):
    """A data set is incomplete, malformed, or points outside its root."""


class CheckpointError(LowlightError):
    """A file of weights is damaged, unsafe, of another format, or of another model."""


class RunError(LowlightError):
    """A run directory cannot be used: another recipe, or damaged."""


class OutputError(LowlightError):
    """A result cannot be written: it exists already, the disk is full, or access is denied."""


class OptionError(LowlightError, ValueError):
    """An option, parameter or name that does not exist or does not fit."""


class CheckFailed(LowlightError):
    """An answer to an exercise is not right, and LOWLIGHT_CHECKS=strict asks for an error."""
