"""Many runs on this machine: some at once, each in a process of its own with its share of the cores and its GPU.

The processes are forks of one server that has imported torch and the methods, so a run does not pay for that again.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import FrameType

from mpafer.runs.task import Task, distinct

PATIENCE = 10.0  # seconds that a process has to end by itself
LOG = "console.txt"


@dataclass(frozen=True)
class Failure:
    """A run that did not end with a result: its name, its log and the log's last error."""

    name: str
    log: Path
    message: str


@dataclass
class _Started:
    """A process at work."""

    process: ForkServerProcess
    name: str
    task: Task
    slot: int
    since: float
    log_size: int  # of earlier attempts


def run_tasks(
    tasks: Sequence[Task], at_once: int = 1, *, live: bool = False, say: Callable[[str], None] = print
) -> list[Failure]:
    """Do every task once, ``at_once`` at a time; one that fails stops no other. Finished ones are skipped.

    However this ends, by an interrupt or a signal too, no process is left.

    Args:
        tasks: those of one folder are one run.
        at_once: how many at a time.
        live: show the output of the runs; else it goes to console.txt in their folders.
        say: gets a line where a run starts and ends.

    Returns:
        The runs that failed, in their order.
    """
    todo = distinct(tasks)
    failures, running = dict[int, Failure](), dict[int, _Started]()
    slots, queue = list(range(at_once)), list(enumerate(todo, start=1))
    with _ended_by_sigterm():
        server = _server(at_once)
        try:
            while queue or running:
                while queue and slots:
                    number, task = queue.pop(0)
                    name = f"[{number}/{len(todo)}] {task.name}"
                    if task.finished and task.refusal:
                        say(f"{name} REFUSED")
                        failures[number] = Failure(name, task.folder, task.refusal)
                        continue
                    say(f"{name} {task.state}")
                    if not task.finished:
                        running[number] = _start(server, task, name, slots.pop(0), live)
                ended = wait([each.process.sentinel for each in running.values()]) if running else []
                for number, each in list(running.items()):
                    if each.process.sentinel in ended:
                        del running[number]
                        slots.append(each.slot)
                        slots.sort()
                        if failure := _end(each, live, say):
                            failures[number] = failure
        finally:
            _stop([each.process for each in running.values()])
    return [failures[number] for number in sorted(failures)]


def _server(at_once: int) -> ForkServerContext:
    from joblib import cpu_count  # of the processors that this process may use

    if at_once > 1:  # before the server imports torch, which takes all cores else
        os.environ.setdefault("OMP_NUM_THREADS", str(max(cpu_count() // at_once, 1)))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mpafer.runs.worker"])
    return context


def _start(server: ForkServerContext, task: Task, name: str, slot: int, live: bool) -> _Started:
    task.folder.mkdir(parents=True, exist_ok=True)
    log = task.folder / LOG
    process = server.Process(target=_work, args=(task, None if live else log, gpu(slot)))
    process.start()
    return _Started(process, name, task, slot, time.monotonic(), log.stat().st_size if log.is_file() else 0)


def _work(task: Task, log: Path | None, gpu: str | None) -> None:
    from mpafer.runs.worker import work  # with torch, which only the server has to import

    work(task, log, gpu)


def _end(each: _Started, live: bool, say: Callable[[str], None]) -> Failure | None:
    """Of a process that has ended: whether its run has a result."""
    each.process.join()
    seconds = time.monotonic() - each.since
    if each.process.exitcode == 0 and each.task.finished:
        say(f"{each.name} done in {seconds:.0f} s")
        return None
    say(f"{each.name} FAILED after {seconds:.0f} s")
    log = each.task.folder / LOG
    return Failure(each.name, log, "see above" if live else last_words(log, each.log_size))


def gpu(slot: int) -> str | None:
    """The GPU of a slot, of those that CUDA_VISIBLE_DEVICES names or the driver has; None without one."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        named = ",".join(str(number) for number, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*")))
    gpus = [each for each in named.split(",") if each]
    return gpus[slot % len(gpus)] if gpus else None


def last_words(log: Path, skip: int = 0) -> str:
    """The last error of an attempt, or else its last line. ``skip``: the log's bytes of earlier attempts."""
    text = log.read_bytes()[skip:].decode("utf-8", "replace") if log.is_file() else ""
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    return (errors or lines or ["nothing was said"])[-1]


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM, as a cluster or a service manager sends it, ends as Ctrl-C does: with what stands in `finally`."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(processes: Sequence[ForkServerProcess]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + PATIENCE
    for process in processes:
        process.join(max(deadline - time.monotonic(), 0.1))
        if process.is_alive():
            process.kill()
            process.join()
