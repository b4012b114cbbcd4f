"""Tasks for tests of what runs them: they note how they were started instead of training."""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import dataclass
from pathlib import Path

from joblib import Parallel, delayed

from mpafer.common.errors import OptionError
from mpafer.common.processes import end_with_parent


def wait_beside(seconds: float) -> None:
    end_with_parent()
    time.sleep(seconds)


@dataclass(frozen=True)
class Noting:
    """Notes its start and its end in ``calls``, takes some seconds, and fails where it is told to."""

    name: str
    folder: Path
    calls: Path
    seconds: float = 0.3
    workers: int = 0  # processes of joblib's to use
    fails: str = ""  # an error's message; "kill" = it is killed

    @property
    def finished(self) -> bool:
        return (self.folder / "results.json").is_file()

    refusal = ""

    @property
    def state(self) -> str:
        return "finished already, skipped" if self.finished else "started"

    @property
    def command(self) -> list[str]:
        return ["do", self.name]

    def note(self, text: str) -> None:
        with open(self.calls, "a") as file:
            file.write(f"{text}\n")

    def run(self) -> None:
        threads, gpu = os.environ.get("OMP_NUM_THREADS"), os.environ.get("CUDA_VISIBLE_DEVICES")
        self.note(f"begin {self.name} {os.getpid()} {os.getppid()} threads={threads} gpu={gpu}")
        print(f"doing {self.name}")
        if self.workers:
            Parallel(self.workers)(delayed(abs)(number) for number in range(4))
        child = multiprocessing.Process(target=wait_beside, args=(self.seconds,))  # as a loader's worker is
        child.start()
        self.note(f"child {child.pid} {multiprocessing.get_start_method()}")
        child.join()
        if self.fails == "kill":
            os.kill(os.getpid(), 9)
        if self.fails:
            raise OptionError(self.fails)
        (self.folder / "results.json").write_text("{}")
        self.note(f"end {self.name}")


def many(place: Path, number: int, **settings: float) -> list[Noting]:
    """So many tasks in folders of ``place``, which also gets their ``calls``."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "calls").touch()
    return [Noting(f"task{i}", place / f"task{i}", place / "calls", **settings) for i in range(number)]  # type: ignore[arg-type]


def calls(place: Path, kind: str) -> list[list[str]]:
    """The words of what was noted of a kind: begin or end."""
    lines = [line.split() for line in (place / "calls").read_text().splitlines()]
    return [line for line in lines if line[0] == kind]
