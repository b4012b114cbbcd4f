"""What a command shows of an error: a message for what the user can mend, a traceback for what we have to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

# Raised by our own code on purpose; the same types from deep inside a library are bugs and keep their traceback.
_OURS = (ValueError, RuntimeError, FloatingPointError, ImportError)


def user_message(error: BaseException) -> str | None:
    """The message to show instead of a traceback, or None where the traceback is needed."""
    text = str(error).strip()
    if isinstance(error, OSError):  # a file or folder, and its text names which
        in_worker = text.startswith("Caught ")  # of a data loader, whose traceback is part of the text
        return text.splitlines()[-1].partition(": ")[2] if in_worker else text
    frames = error.__traceback__
    while frames and frames.tb_next:
        frames = frames.tb_next
    raised_here = frames is not None and str(frames.tb_frame.f_globals.get("__name__")).startswith("mpafer.")
    return text if raised_here and isinstance(error, _OURS) else None


@contextmanager
def clear_errors() -> Iterator[None]:
    """Around a command: end with one line where the user can mend it, with the traceback where we have to."""
    try:
        yield
    except Exception as error:
        if (message := user_message(error)) is None:
            raise
        raise SystemExit(f"error: {message}") from error
