"""Many runs on a real Slurm of two nodes on this machine: the same numbers, a node that dies, failures, interrupts."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.runs import REPO, SMALL, environment, make_world, scores
from support.tasks import Noting, calls, many

from mpafer.common.errors import OptionError
from mpafer.runs.slurm import Cluster, run_on_cluster

SCRIPT = REPO / "tests/support/slurm.sh"
NEEDED = ("slurmctld", "slurmd", "munged", "sbatch")
MISSING = [name for name in NEEDED if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")]
on_slurm = pytest.mark.skipif(bool(MISSING), reason=f"Slurm is not here: no {', '.join(MISSING)}")


def slurm(*words: str) -> str:
    return subprocess.run(["bash", SCRIPT, *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """Two nodes, n1 and n2, of one processor each; the path is short, as its sockets need it."""
    folder = Path(tempfile.mkdtemp(prefix="slurm"))
    try:
        key, _, value = slurm("up", str(folder)).strip().removeprefix("export ").partition("=")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(key, value)
            patch.setenv("PYTHONPATH", str(REPO / "tests"))
            yield folder
    finally:
        slurm("down", str(folder))
        shutil.rmtree(folder)


def asked(tmp_path: Path) -> Cluster:
    return Cluster(None, 10, 0, 1, tmp_path / "logs")


def wait_for(what: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def ask(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout


def queue(*more: str) -> list[str]:
    return ask("squeue", "-h", "--array", "-o", "%F_%K", *more).split()


def table(out: Path) -> list[dict[str, str]]:
    """What a comparison says of accuracy; times and memory differ."""
    kept = ("trainer", "n", "accuracy", "uar", "difference", "p")
    rows = csv.DictReader(next((out / "rafdb").glob("comparison_tiny*/comparison.csv")).read_text().splitlines())
    return [{key: row[key] for key in kept} for row in rows]


@on_slurm
def test_the_same_comparison_though_a_node_dies(cluster: Path, tmp_path: Path) -> None:
    world = make_world(tmp_path)
    options = SMALL | {"MODEL.BACKBONE.NAME": f"{world}/clip.safetensors", "OPTIM.MAX_EPOCH": "40"}
    words = ["compare", "rafdb", "2", *(word for pair in options.items() for word in pair)]
    chosen = {"DATA": f"{world}/data", "CFG": "tiny", "METHODS": "MPAFER CoOp", "SEEDS": "1 2", "JOBS": "2"}
    own = environment(world) | chosen
    command = [sys.executable, "-m", "mpafer", *words]
    here = subprocess.run(command, env=own | {"OUT": f"{world}/here"}, capture_output=True, text=True)
    assert here.returncode == 0, here.stdout + here.stderr

    on_nodes = ["--launcher", "slurm", "--gpus", "0", "--cpus", "1", "--time", "10"]
    there = subprocess.Popen(
        [*command, *on_nodes], env=own | {"OUT": f"{world}/there"}, stdout=subprocess.PIPE, text=True
    )
    wait_for(lambda: queue("-w", "n2", "-t", "R") and list(world.glob("there/**/model.pth.tar-*")))
    (lost,) = queue("-w", "n2", "-t", "R")
    slurm("kill", str(cluster), "n2")
    (folder,) = (note.parent for note in world.glob("there/**/slurm.txt") if note.read_text().strip() == lost)
    assert not (folder / "results.json").exists()
    printed, _ = there.communicate()
    slurm("start", str(cluster), "n2")
    assert there.returncode == 0 and printed.count(" done") == 4, printed
    assert table(world / "here") == table(world / "there") and len(table(world / "here")) == 2
    for run in (world / "here").glob("rafdb/*/*/seed*"):
        assert (scores(run) == scores(world / "there" / run.relative_to(world / "here"))).all(), run


@on_slurm
def test_a_failing_task_stops_no_other_and_is_named(cluster: Path, tmp_path: Path) -> None:
    wait_for(lambda: ask("sinfo", "-h", "-n", "n2", "-o", "%T").strip() == "idle")
    tasks = many(tmp_path, 4, seconds=0.1)
    tasks[1], tasks[2] = replace(tasks[1], fails="the loss is NaN"), replace(tasks[2], fails="kill")
    said: list[str] = []
    failures = run_on_cluster(tasks, asked(tmp_path), 2, say=said.append)
    assert [task.finished for task in tasks] == [True, False, False, True]
    assert [(each.name, each.message) for each in failures] == [
        ("[2/4] task1", "error: the loss is NaN"), ("[3/4] task2", "doing task2"),
    ]  # fmt: skip
    assert "[1/4] task0 done" in said and "[2/4] task1 FAILED" in said
    one = many(tmp_path / "one", 1, seconds=0.1)  # an array of one is none to Slurm
    assert not run_on_cluster(one, asked(tmp_path), 2, say=said.append) and one[0].finished
    said.clear()
    assert not run_on_cluster(tasks[:1], asked(tmp_path), 2, say=said.append)
    assert said == ["[1/1] task0 finished already, skipped"]


START = """
import signal, sys
from pathlib import Path
from support.tasks import many
from mpafer.runs.slurm import Cluster, run_on_cluster

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
place = Path(sys.argv[1])
asked = Cluster(None, 10, 0, 1, place / "logs")
run_on_cluster(many(place, 2, seconds=8), asked, 2, say=lambda line: print(line, flush=True))
"""


def start(place: Path) -> subprocess.Popen[str]:
    """Two tasks of eight seconds, on the nodes."""
    return subprocess.Popen([sys.executable, "-c", START, str(place)], stdout=subprocess.PIPE, text=True)


def both_begun(place: Path) -> bool:
    return (place / "calls").is_file() and len(calls(place, "begin")) == 2


@on_slurm
def test_a_killed_command_finds_its_jobs_again(cluster: Path, tmp_path: Path) -> None:
    first = start(tmp_path)
    wait_for(lambda: both_begun(tmp_path))
    first.kill()
    first.communicate()
    again = start(tmp_path)
    printed, _ = again.communicate()
    assert printed.count("in the queue as") == 2 and printed.count(" done") == 2, printed
    assert len(calls(tmp_path, "begin")) == 2, "nothing was done twice"


@on_slurm
def test_ctrl_c_cancels_what_is_queued(cluster: Path, tmp_path: Path) -> None:
    process = start(tmp_path)
    wait_for(lambda: both_begun(tmp_path))
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode != 0
    wait_for(lambda: not queue(), 20)
    assert not calls(tmp_path, "end")


def test_without_slurm_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OptionError, match="--launcher slurm needs Slurm's commands: squeue is not here"):
        run_on_cluster([Noting("a", tmp_path / "a", tmp_path / "calls")], asked(tmp_path), 1)
