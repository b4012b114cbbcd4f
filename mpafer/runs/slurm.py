"""Many runs on a Slurm cluster: one job array through submitit, whose tasks are the runs.

What a task left on disk is the truth, not what Slurm remembers of it: clusters differ in what they keep. A run that is
preempted, out of time or on a node that dies is queued again by Slurm, and goes on from its last epoch.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mpafer.common.errors import MissingPackageError, OptionError
from mpafer.runs.local import LOG, Failure, last_words
from mpafer.runs.task import Task, distinct

NOTE = "slurm.txt"  # in a task's folder: its number in the queue
POLL, GRACE = 2.0, 20.0  # seconds between looks; and until a file of another machine must be seen
TIMEOUTS = 100  # how often a run may be out of time, and go on


@dataclass(frozen=True)
class Cluster:
    """What a run asks of Slurm."""

    partition: str | None
    minutes: int
    gpus: int
    cpus: int
    logs: Path  # submitit's
    extra: Mapping[str, str] = field(default_factory=dict)  # options of sbatch, with _ for -


@dataclass(frozen=True)
class Work:
    """What a node does."""

    cpus: int

    def __call__(self, task: Task) -> None:
        os.environ.setdefault("OMP_NUM_THREADS", str(self.cpus))  # before torch is imported
        from mpafer.runs.worker import work

        if not task.finished:
            task.folder.mkdir(parents=True, exist_ok=True)
            work(task, task.folder / LOG, None)

    def checkpoint(self, task: Task) -> object:
        """Asked by submitit when the run has to leave its node: what to queue again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, task)


def run_on_cluster(
    tasks: Sequence[Task], cluster: Cluster, at_once: int, *, say: Callable[[str], None] = print
) -> list[Failure]:
    """Do every task once, ``at_once`` at a time; one that fails stops no other. Finished ones are skipped.

    Those that an earlier command left in the queue are waited for. An interrupt cancels all; where the command is
    killed, or the connection lost, they go on.

    Returns:
        The tasks that failed, in their order.

    Raises:
        MissingPackageError: submitit is not installed.
        OptionError: Slurm is not here, or does not take the jobs; its message is shown.
    """
    todo = distinct(tasks)
    names = {task.folder: f"[{number}/{len(todo)}] {task.name}" for number, task in enumerate(todo, start=1)}
    queued, logs = _queue(), {task.folder: task.folder / LOG for task in todo}
    sizes = {folder: log.stat().st_size if log.is_file() else 0 for folder, log in logs.items()}
    others = [task for task in todo if task.finished and task.refusal]
    for task in todo:
        if task in others:
            say(f"{names[task.folder]} REFUSED")
        elif task.finished or _noted(task) in queued:
            say(f"{names[task.folder]} {task.state if task.finished else f'in the queue as {_noted(task)}'}")
    _submit([task for task in todo if not task.finished and _noted(task) not in queued], cluster, at_once, names, say)
    waiting = [task for task in todo if not task.finished]
    failures = [Failure(names[task.folder], task.folder, task.refusal) for task in others]
    try:
        _wait(waiting, names, say)
    except KeyboardInterrupt:
        _slurm("scancel", *(_noted(task) for task in waiting))
        raise
    for task in (task for task in waiting if not task.finished):
        log, size = logs[task.folder], sizes[task.folder]
        if not log.is_file():  # it did not even begin
            log, size = cluster.logs / f"{_noted(task)}_0_log.err", 0
        failures.append(Failure(names[task.folder], log, last_words(log, size)))
    return failures


def _submit(
    tasks: Sequence[Task], cluster: Cluster, at_once: int, names: Mapping[Path, str], say: Callable[[str], None]
) -> None:
    """Queue an array, and note each task's number in its folder."""
    if not tasks:
        return
    try:
        import submitit
    except ImportError as error:
        raise MissingPackageError('--launcher slurm needs submitit: pip install "mpafer[cluster]"') from error
    executor = submitit.AutoExecutor(cluster.logs, cluster="slurm", slurm_max_num_timeout=TIMEOUTS)
    executor.update_parameters(
        name="mpafer", timeout_min=cluster.minutes, cpus_per_task=cluster.cpus, slurm_array_parallelism=at_once,
        slurm_additional_parameters={"requeue": True, **cluster.extra},
        **({"slurm_partition": cluster.partition} if cluster.partition else {}),
        **({"gpus_per_node": cluster.gpus} if cluster.gpus else {}),
    )  # fmt: skip
    try:
        jobs = executor.map_array(Work(cluster.cpus), tasks)
    except submitit.core.utils.FailedJobError as error:
        raise OptionError(f"Slurm did not take the jobs: {error}") from error
    for task, job in zip(tasks, jobs, strict=True):
        task.folder.mkdir(parents=True, exist_ok=True)
        (task.folder / NOTE).write_text(f"{job.job_id}\n")
        say(f"{names[task.folder]} queued as {job.job_id}")


def _wait(tasks: Sequence[Task], names: Mapping[Path, str], say: Callable[[str], None]) -> None:
    """Until every task has a result, or has left the queue without one."""
    states, left, gone = dict[Path, str](), list(tasks), dict[Path, float]()
    while left:
        queued = _queue()
        for task in list(left):
            folder, state = task.folder, queued.get(_noted(task), "")
            if task.finished:
                say(f"{names[folder]} done")
                left.remove(task)
            elif not state and time.monotonic() - gone.setdefault(folder, time.monotonic()) > GRACE:
                say(f"{names[folder]} FAILED")
                left.remove(task)
            elif state:
                gone.pop(folder, None)
                if state != states.get(folder, "pending"):
                    say(f"{names[folder]} {state}")
                states[folder] = state
        if left:
            time.sleep(POLL)


def _noted(task: Task) -> str:
    """The number that a task has, or had, in the queue; "" = none."""
    note = task.folder / NOTE
    return note.read_text().strip() if note.is_file() else ""


def _queue() -> dict[str, str]:
    """Number -> state of all that this user has in the queue: pending, running, ..."""
    while True:
        listed = _slurm("squeue", "--me", "--array", "--noheader", "--format=%F_%K|%T|%r")
        if listed.returncode == 0:
            found = {}
            for number, state, reason in (line.split("|", 2) for line in listed.stdout.splitlines()):
                held = f": {reason}, look at it" if "held" in reason.lower() else ""  # it would wait for ever
                found[number.removesuffix("_N/A")] = f"{state.lower()}{held}"  # an array of one has no index
            return found
        time.sleep(5 * POLL)  # the controller does not answer: that says nothing of the jobs


def _slurm(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run([command, *arguments], capture_output=True, text=True)
    except FileNotFoundError as error:
        raise OptionError(f"--launcher slurm needs Slurm's commands: {command} is not here") from error
