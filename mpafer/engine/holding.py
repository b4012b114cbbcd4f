"""One run at a time in an output folder."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mpafer.common import distributed
from mpafer.common.errors import UserError
from mpafer.common.files import is_running, write_text

LOCK, HOLDER = ".lock", ".holder"
ENDING = 30.0  # seconds for the worker processes of a killed run to end: they hold its lock too
STARTING = 1.0  # seconds for a run that has just taken the lock to say who it is


class FolderInUseError(UserError):
    """Another run works in the output folder."""


@contextmanager
def held(folder: str | Path, option: str = "--output-dir") -> Iterator[None]:
    """Around a run: nobody else's run starts in its folder. The system frees it when the process ends, however.

    Ranks other than 0 do nothing, nor does a run without a folder.

    Args:
        folder: the run's.
        option: what names it, for the message.

    Raises:
        FolderInUseError: another run has it; its process and machine are named.
    """
    if not folder or not distributed.is_main():
        yield
        return
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place / LOCK)
    try:
        _acquire(lock, place, option)
    except NotImplementedError:
        print(f"* the disk of {place} knows no locks: start one run at a time in it")
        yield
        return
    holder = place / HOLDER
    try:
        write_text(holder, f"{os.getpid()} {socket.gethostname()}\n")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _acquire(lock: FileLock, place: Path, option: str) -> None:
    start = time.monotonic()
    while True:
        try:
            lock.acquire(timeout=0)
            return
        except Timeout:
            process, host = _holder(place)
            ended = host == socket.gethostname() and process.isdecimal() and not is_running(int(process))
            waited = time.monotonic() - start
            if waited > (ENDING if ended else STARTING if not process else 0):
                who = f"process {process} on {host}" if process else "another process"
                raise FolderInUseError(
                    f"{place} is in use by {who}: wait until that run has ended, or choose another {option}"
                ) from None
            time.sleep(0.05)


def _holder(place: Path) -> tuple[str, str]:
    """Process and host, "" where they are not written yet."""
    try:
        process, host = (place / HOLDER).read_text(errors="replace").split()
    except (OSError, ValueError):
        return "", ""
    return process, host
