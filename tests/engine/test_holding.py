"""One run at a time in a folder; whoever was killed does not block it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from mpafer.common import distributed
from mpafer.common.errors import user_message
from mpafer.engine import holding
from mpafer.engine.holding import HOLDER, LOCK, FolderInUseError, held

HOLD = """
import sys, time
from mpafer.engine.holding import held
with held(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_second_run_is_told_who_has_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    process = hold(folder)
    with pytest.raises(FolderInUseError) as caught, held(folder):
        raise AssertionError("both hold it")
    message = user_message(caught.value)
    assert message and f"{folder} is in use by process {process.pid} on {socket.gethostname()}: wait" in message
    with held(tmp_path / "other"):
        pass  # control
    process.kill()
    process.wait()
    with held(folder):
        assert (folder / HOLDER).read_text() == f"{os.getpid()} {socket.gethostname()}\n"
    assert not (folder / HOLDER).exists()
    with held(folder):
        pass


def test_a_lock_that_outlives_its_killed_run_is_waited_for(tmp_path: Path, monkeypatch) -> None:
    """Its data loader's workers have it too, until they notice."""
    with subprocess.Popen(["true"]) as ended:  # a number that no process has now
        pass
    worker = FileLock(tmp_path / LOCK, thread_local=False)
    worker.acquire()
    (tmp_path / HOLDER).write_text(f"{ended.pid} {socket.gethostname()}\n")
    with monkeypatch.context() as patch:
        patch.setattr(holding, "ENDING", 0.1)
        with pytest.raises(FolderInUseError), held(tmp_path):
            pass
    start = time.monotonic()
    threading.Timer(1, worker.release).start()
    with held(tmp_path):
        assert time.monotonic() - start > 0.5


def test_a_holder_that_has_not_said_who_it_is(tmp_path: Path) -> None:
    with FileLock(tmp_path / LOCK), pytest.raises(FolderInUseError, match="in use by another process"), held(tmp_path):
        pass


def test_an_error_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="in the run"), held(tmp_path):
        raise RuntimeError("in the run")
    with held(tmp_path):
        pass


def test_a_disk_without_locks_is_said(tmp_path: Path, monkeypatch, capsys) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with held(tmp_path):
        pass
    assert capsys.readouterr().out == f"* the disk of {tmp_path} knows no locks: start one run at a time in it\n"


def test_other_ranks_and_runs_without_a_folder_take_no_lock(tmp_path: Path, monkeypatch) -> None:
    with held(""):
        pass
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    monkeypatch.setattr(distributed, "is_main", lambda: False)
    with held(tmp_path), held(tmp_path):
        assert not list(tmp_path.iterdir())
