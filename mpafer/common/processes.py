"""Processes that end with the one that started them, however that one ends, or when their work is done."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def end_with_parent(*_: object) -> None:
    """Have this process end when its parent has: by a thread that waits for that.

    The parent is the process that asked for this one, not a server that made it.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait, args=(parent,), daemon=True).start()


def end_joblib() -> None:
    """End joblib's processes: idle, they would live for five minutes, and keep this one from ending for as long."""
    from joblib.externals.loky import get_reusable_executor  # slow to import

    get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _wait(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
