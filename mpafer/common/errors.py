"""What a command shows of an error: a message for what the user can mend, a traceback for what we have to."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from mpafer.common.streams import speak_plainly

_LONGEST_WORD = 500  # in a message; a file without blanks or ends of lines is one word
_ENDED_WORKER = "DataLoader worker (pid"  # how torch's message begins


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


class ExportError(UserError, RuntimeError):
    """A model that cannot be written for elsewhere, or would answer otherwise there."""


class MissingPackageError(UserError, ImportError):
    """A package that is needed for this is not installed."""


def user_message(error: BaseException) -> str | None:
    """The message to show instead of a traceback, or None where the traceback is needed."""
    text = re.sub(rf"(\S{{{_LONGEST_WORD}}})\S+", r"\1...", str(error).strip())
    if isinstance(error, UserError):
        # a data loader raises its worker's error anew, with the worker's traceback before the message
        return text.rpartition(f"{type(error).__name__}: ")[2] if text.startswith("Caught ") else text
    if isinstance(error, RuntimeError) and text.startswith(_ENDED_WORKER):  # raised wherever the program just is
        return (
            f"a process that reads images was killed, most often for want of memory ({text}): lower "
            "DATALOADER.NUM_WORKERS, 0 = none; in a container, give it more shared memory (--shm-size)"
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"{text}: make room, and start again; a run goes on from its last epoch"
    if isinstance(error, OSError) and error.filename:  # no permission, no such file
        return text + _where_a_link_leads(error.filename)
    return None


def _where_a_link_leads(path: object) -> str:
    """Of a link to nowhere, which looks as if it were there."""
    if not isinstance(path, str) or not os.path.islink(path) or os.path.exists(path):
        return ""
    return f": it is a link to {os.readlink(path)}, which is not there"


@contextmanager
def clear_errors() -> Iterator[None]:
    """Around a command: end with one line where the user can mend it, with the traceback where we have to.

    What the terminal cannot show is shown by what it can.
    """
    speak_plainly()
    try:
        yield
    except Exception as error:
        if (message := user_message(error)) is None:
            raise
        raise SystemExit(f"error: {message}") from error
