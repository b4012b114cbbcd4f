"""Files that are either whole or absent, whenever the process dies; the folder of what can be made again."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mpafer.common.errors import OptionError

TEMPORARY = ".tmp"
LEFT = 24 * 3600  # seconds after which another machine's half-written file counts as left by a killed process


def cache_folder(kind: str) -> Path:
    """Where things of one kind are kept that can be made again: under ``$MPAFER_CACHE``, or ``~/.cache/mpafer``."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "mpafer"
    return Path(os.environ.get("MPAFER_CACHE") or user).expanduser() / kind


def keep_folder(beside: Path, kind: str) -> Path:
    """Where images that we make are kept: with the data if we may write there, else in the user's cache."""
    return beside / f"mpafer_{kind}" if os.access(beside, os.W_OK) else cache_folder(kind)


def is_made(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one that we made, in a `keep_folder`."""
    parents = Path(path).absolute().parents
    return cache_folder("").absolute() in parents or any(folder.name.startswith("mpafer_") for folder in parents)


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
    temporary = path.parent / f".{path.name}.{_host()}.{os.getpid()}{TEMPORARY}"
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


def prune_temporary(folder: Path) -> None:
    """Remove what killed processes left half-written: of this machine's those that ended, of others' after a day."""
    for rest in folder.glob(f".*{TEMPORARY}"):
        *_, host, process, _ = ["", "", *rest.name.split(".")]
        with suppress(OSError):  # another process removed it, or ended its writing
            if host == _host() and process.isdecimal():
                left = int(process) != os.getpid() and not is_running(int(process))
            else:
                left = rest.stat().st_mtime < time.time() - LEFT
            if left:
                rest.unlink()


def is_running(process: int) -> bool:
    """Whether this machine has a process of that number."""
    if os.name != "posix":  # elsewhere the signal 0 would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        pass
    return True


def _host() -> str:
    return socket.gethostname().replace(".", "-")[:60]


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; systems that cannot open a folder do it on their own."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
