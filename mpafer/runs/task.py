"""What `local` and `slurm` can do: a task leaves a result in its folder. A training run is one, a test is another."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, TypeVar


class Task(Protocol):
    """It is pickled to go to another process, and light to unpickle."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def folder(self) -> Path:
        """Of its result, its log and its checkpoints. Tasks of one folder are one task."""

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""

    @property
    def refusal(self) -> str:
        """Why what lies in the folder is not this task's result; "" = it is, or there is none."""

    @property
    def state(self) -> str:
        """What running it will do, in words."""

    @property
    def command(self) -> list[str]:
        """The command line that does it."""

    def run(self) -> None:
        """Do it, in this process. One that was broken off before goes on."""


T = TypeVar("T", bound=Task)


def distinct(tasks: Iterable[T]) -> list[T]:
    """The tasks without those of a folder that an earlier one has."""
    found: dict[Path, T] = {}
    for task in tasks:
        found.setdefault(task.folder, task)
    return list(found.values())
