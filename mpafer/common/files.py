"""Files that are either whole or absent, whenever the process dies; the folder of what can be made again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from mpafer.common.errors import OptionError

TEMPORARY = ".tmp"


def cache_folder(kind: str) -> Path:
    """Where things of one kind are kept that can be made again: under ``$MPAFER_CACHE``, or ``~/.cache/mpafer``."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "mpafer"
    return Path(os.environ.get("MPAFER_CACHE") or user).expanduser() / kind


def keep_folder(beside: Path, kind: str) -> Path:
    """Where images that we make are kept: with the data if we may write there, else in the user's cache."""
    return beside / f"mpafer_{kind}" if os.access(beside, os.W_OK) else cache_folder(kind)


def fingerprint(what: Any, sources: Iterable[str | Path]) -> str:
    """A name that changes with ``what`` (plain values) and with each source's path, size or time of change.

    Raises:
        OSError: a source that is not there.
    """
    stamps = [(str(source), stat.st_size, stat.st_mtime_ns) for source in sources for stat in [os.stat(source)]]
    return hashlib.sha256(json.dumps([what, stamps]).encode()).hexdigest()[:24]


def make_folder(path: str | Path, name: str) -> Path:
    """Make a folder, and those above it, where they are not there.

    Args:
        path: the folder.
        name: the option that names it, for the message.

    Raises:
        OptionError: there is a file, or a link to nowhere, in its place.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        there = next(each for each in (*reversed(path.parents), path) if os.path.lexists(each) and not each.is_dir())
        what = f"a link to {os.readlink(there)}, which is not there" if not there.exists() else "a file, not a folder"
        raise OptionError(f"{name} {path}: {there} is {what}; name another folder") from None
    return path


def write_text(path: str | Path, text: str, newline: str | None = None) -> None:
    """Write a text in UTF-8; raises OSError, which names the file, where that cannot be done."""
    try:
        Path(path).expanduser().write_text(text, "utf-8", newline=newline)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file to write; ``path`` appears, or is replaced, when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}{TEMPORARY}"
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # of a write: which file it was
            error.filename = str(path)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; systems that cannot open a folder do it on their own."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
