"""Two runs started at once in one folder: one trains, the other ends in one line or finds it finished."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support import runs
from support.runs import arguments, environment, make_world, scores

OPTIONS = {"OPTIM.MAX_EPOCH": 2}
ROUNDS = 20


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), train=2)


def start(world: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, *arguments(world, out, **OPTIONS)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment(world), stdout=pipe, stderr=pipe, text=True)


@pytest.mark.slow
def test_two_runs_at_once(world: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    assert runs.run(world, alone, **OPTIONS).returncode == 0
    rng, refused = random.Random(0), 0
    for number in range(ROUNDS):
        out = tmp_path / str(number)
        first = start(world, out)
        time.sleep(rng.choice((0, 0, rng.uniform(0, 1), rng.uniform(0, 4))))
        second = start(world, out)
        ended = [(*process.communicate(timeout=300), process.returncode) for process in (first, second)]
        for _, errors, code in ended:
            assert "Traceback" not in errors, errors
            if code:
                (line,) = errors.strip().splitlines()[-1:]
                assert line.startswith(f"error: {out} is in use by process "), errors
                refused += 1
        assert [code for *_, code in ended].count(0) >= 1
        assert np.array_equal(scores(out), scores(alone))
        assert not list(out.rglob("*.tmp")) and not (out / ".holder").exists()
    assert refused > 0  # else nothing was tried
    print(f"{ROUNDS} rounds, {refused} refused")
