"""A run that is killed at any moment goes on as if nothing had happened: 100 times kill -9, and the same scores."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from support.runs import SMALL, environment, make_world, prompts, scores

from mpafer.runs.local import _work, last_words
from mpafer.runs.plan import Job, Place

KILLS = 100


def job(world: Path, out: str) -> Job:
    options = SMALL | {"MODEL.BACKBONE.NAME": f"{world}/clip.safetensors", "OPTIM.MAX_EPOCH": "12"}
    return Job("MPAFER", "rafdb", "tiny", -1, 1, tuple(options.items()), Place(f"{world}/data", f"{world}/{out}"))


@pytest.mark.slow
def test_a_hundred_kills_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(tmp_path)
    for key, value in environment(world).items():
        monkeypatch.setenv(key, value)
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["mpafer.runs.worker"])
    for name in ("first", "whole"):  # the first one waits for the server's imports
        whole, started = job(world, name), time.monotonic()
        whole.folder.mkdir(parents=True)
        process = server.Process(target=_work, args=(whole, whole.folder / "console.txt", None))
        process.start()
        process.join()
        assert whole.finished, last_words(whole.folder / "console.txt")
    seconds = time.monotonic() - started

    rng, kills, outcomes = random.Random(0), 0, Counter[str]()
    for number in range(10 * KILLS):
        each = job(world, f"killed{number}")
        log = each.folder / "console.txt"
        each.folder.mkdir(parents=True)
        while not each.finished:
            process = server.Process(target=_work, args=(each, log, None))
            process.start()
            process.join(rng.uniform(0, seconds) if kills < KILLS else None)
            if process.is_alive():
                process.kill()
                process.join()
                kills += 1
                outcomes["before the first epoch" if not list(each.folder.glob("prompts/*")) else "later"] += 1
            else:
                assert process.exitcode == 0, last_words(log)
        assert (scores(each.folder) == scores(whole.folder)).all()
        ours, theirs = prompts(each.folder), prompts(whole.folder)
        assert all((ours[key] == theirs[key]).all() for key in theirs)
        outcomes["runs that ended with the same scores and prompts"] += 1
        if kills >= KILLS:
            break
    print(f"{kills} kills: {dict(outcomes)}")
    assert outcomes["before the first epoch"] and outcomes["later"] and kills == KILLS
