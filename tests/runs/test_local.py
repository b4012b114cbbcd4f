"""Many runs on this machine: at once, each with its share, skipped, failing, interrupted; one import for all."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from joblib import cpu_count
from support.tasks import calls, many

from mpafer.runs.local import run_tasks

REPO = Path(__file__).parent.parent.parent


def run(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """`support.tasks` in a process of its own: ``PLACE NUMBER SECONDS AT_ONCE``."""
    code = (
        "import signal, sys; from pathlib import Path\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it\n"
        "from support.tasks import many; from mpafer.runs.local import run_tasks\n"
        "place, number, seconds, at_once = sys.argv[1:]\n"
        "print(run_tasks(many(Path(place), int(number), seconds=float(seconds)), int(at_once)))"
    )
    own = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=own | {"PYTHONPATH": str(REPO / "tests")} | environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def test_several_go_at_once_each_with_its_share_and_its_gpu(tmp_path: Path) -> None:
    process = run(str(tmp_path), "4", "0.4", "2", CUDA_VISIBLE_DEVICES="5,7")
    printed, _ = process.communicate()
    assert process.returncode == 0 and printed.count("done in") == 4, printed
    lines = [line.split()[0] for line in (tmp_path / "calls").read_text().splitlines()]
    running = [{"begin": 1, "end": -1}.get(kind, 0) for kind in lines]
    assert max(itertools.accumulate(running)) == 2
    begun = calls(tmp_path, "begin")
    assert {line[-1] for line in begun} == {"gpu=5", "gpu=7"}
    assert {line[-2] for line in begun} == {f"threads={max(cpu_count() // 2, 1)}"}
    assert len({line[2] for line in begun}) == 4, "a process each"
    assert len({line[3] for line in begun}) == 1, "of one server, which has imported torch for all"


def test_alone_a_run_has_all_cores_as_torch_counts_them(tmp_path: Path) -> None:
    process = run(str(tmp_path), "1", "0", "1")
    process.communicate()
    assert [line[-2:] for line in calls(tmp_path, "begin")] == [["threads=None", "gpu=None"]]


def test_a_failing_run_stops_no_other_and_is_named(tmp_path: Path) -> None:
    tasks = many(tmp_path, 4, seconds=0)
    tasks[1], tasks[2] = replace(tasks[1], fails="the loss is NaN"), replace(tasks[2], fails="kill")
    said: list[str] = []
    failures = run_tasks([*tasks, tasks[0]], 2, say=said.append)
    assert [task.finished for task in tasks] == [True, False, False, True]
    assert [(each.name, each.message) for each in failures] == [
        ("[2/4] task1", "error: the loss is NaN"), ("[3/4] task2", "doing task2"),
    ]  # fmt: skip
    assert failures[0].log.read_text() == "doing task1\nerror: the loss is NaN\n"
    assert any(re.fullmatch(r"\[2/4\] task1 FAILED after \d+ s", line) for line in said)
    assert any(re.fullmatch(r"\[4/4\] task3 done in \d+ s", line) for line in said)

    said.clear()
    again = run_tasks([*tasks[:1], replace(tasks[1], fails="another"), *tasks[2:3]], say=said.append)
    assert said[0] == "[1/3] task0 finished already, skipped" and len(calls(tmp_path, "begin")) == 6
    assert again[0].message == "error: another", "of this attempt, not of the one before"


def test_live_output_is_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """In a process of its own: the server's streams are those of when it started."""
    code = "from support.tasks import many; from mpafer.runs.local import run_tasks; from pathlib import Path\n"
    code += f"run_tasks(many(Path({str(tmp_path)!r}), 1, seconds=0), live=True)"
    env = os.environ | {"PYTHONPATH": str(REPO / "tests")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert "doing task0\n" in done.stdout and not (tmp_path / "task0/console.txt").exists(), done.stderr


def test_a_run_that_used_joblib_ends_when_it_is_done(tmp_path: Path) -> None:
    """Its processes wait five minutes for more to do, and a run used to wait for them: faces are drawn so."""
    tasks = [replace(task, workers=2) for task in many(tmp_path, 1, seconds=0)]
    started = time.monotonic()
    assert not run_tasks(tasks) and tasks[0].finished
    assert time.monotonic() - started < 150


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_command(tmp_path: Path, number: signal.Signals) -> None:
    process = run(str(tmp_path), "3", "60", "2")
    while not (tmp_path / "calls").is_file() or len(calls(tmp_path, "child")) < 2:
        assert process.poll() is None
        time.sleep(0.1)
    begun = calls(tmp_path, "begin")
    process.send_signal(number)
    process.communicate()
    assert process.returncode != 0
    children = calls(tmp_path, "child")
    left = [int(word) for line in begun for word in line[2:4]]  # runs, and the server
    left += [int(line[1]) for line in children]  # and what a run has started itself, as it would without a server
    assert {line[2] for line in children} == {multiprocessing.get_all_start_methods()[0]} and len(children) == 2
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in left):
        assert time.monotonic() < deadline, f"{left} are alive"
        time.sleep(0.1)
    assert len(calls(tmp_path, "begin")) == 2 and not calls(tmp_path, "end")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
