"""What a command shows of an error: a message for what the user can mend, a traceback for what we have to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import dropwhile
from traceback import walk_tb


class UserError(Exception):
    """What the user can mend: a command shows its message, without a traceback."""


class OptionError(UserError, ValueError):
    """An option, a config value or an argument that cannot be what it is."""


class DataError(UserError, ValueError):
    """A file whose contents are not what they should be."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that is not there."""


class CheckpointError(UserError, RuntimeError):
    """A checkpoint that cannot be read, or does not fit this run."""


class MissingPackageError(UserError, ImportError):
    """A package that is needed for this is not installed."""


# Raised by our own code on purpose; the same types from deep inside a library are bugs and keep their traceback.
_OURS = (ValueError, RuntimeError, FloatingPointError, ImportError)


def user_message(error: BaseException) -> str | None:
    """The message to show instead of a traceback, or None where the traceback is needed."""
    text = str(error).strip()
    if isinstance(error, OSError):  # a file or folder, and its text names which
        in_worker = text.startswith("Caught ")  # of a data loader, whose traceback is part of the text
        return text.splitlines()[-1].partition(": ")[2] if in_worker else text
    return text if _path(error)[-1:] == [True] and isinstance(error, _OURS) else None


def _path(error: BaseException) -> list[bool]:
    """Of each frame from the command to where the error was raised, whether it is our code."""
    packages = [frame.f_globals.get("__package__") for frame, _ in walk_tb(error.__traceback__)]
    return [str(package).split(".")[0] == "mpafer" for package in packages]  # also of `python -m`, called __main__


@contextmanager
def clear_errors(*, foreign: bool = False) -> Iterator[None]:
    """Around a command: end with one line where the user can mend it, with the traceback where we have to.

    Args:
        foreign: the command runs other people's code, and what fails in theirs alone keeps its traceback.
    """
    try:
        yield
    except Exception as error:
        started = list(dropwhile(bool, _path(error)))  # what the command ran, from the first frame that is not ours
        theirs = foreign and started and True not in started
        if (message := user_message(error)) is None or theirs:
            raise
        raise SystemExit(f"error: {message}") from error
