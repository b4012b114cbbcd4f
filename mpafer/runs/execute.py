"""A plan of runs is printed, or done here or on a cluster; what failed is named at the end."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpafer.runs.local import Failure, run_tasks
from mpafer.runs.task import Task, distinct

if TYPE_CHECKING:
    from mpafer.runs.slurm import Cluster


@dataclass(frozen=True)
class How:
    """How runs are done: as many at once, here or on ``cluster``; or with ``plan`` only printed."""

    at_once: int = 1
    plan: bool = False
    cluster: Cluster | None = None
    live: bool = False  # one at a time, here: show what the runs say


def execute(tasks: Sequence[Task], how: How) -> list[Failure] | None:
    """Do the runs that are not finished; returns those that failed. A plan is printed: None."""
    if how.plan:
        for task in distinct(tasks):
            print(f"{shlex.join(task.command)}  # {task.state}")
        return None
    if how.cluster:
        from mpafer.runs.slurm import run_on_cluster

        return run_on_cluster(tasks, how.cluster, how.at_once)
    return run_tasks(tasks, how.at_once, live=how.live and how.at_once == 1)


def finish(failures: Sequence[Failure]) -> None:
    """Name the runs that failed, with their logs; the command's exit status is then 1."""
    if failures:
        print("\nfailed, with the last line of its log; start again to try these once more:", file=sys.stderr)
        for failure in failures:
            print(f"{failure.name}: {failure.log}: {failure.message}", file=sys.stderr)
        raise SystemExit(1)
