"""Fixtures that several test files use; every test starts from the same seed, and with a cache of its own."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models: more threads only get in each other's way

import numpy as np
import pytest
from yacs.config import CfgNode

REPO = Path(__file__).parent.parent
# what the scripts read
VARIABLES = ("DATA", "OUT", "SEEDS", "TAG", "JOBS", "CFG", "METHOD", "METHODS", "REFERENCE", "SHOTS", "SPLIT",
             "LAUNCHER", "PARTITION")  # fmt: skip
CACHE = Path(tempfile.gettempdir()) / f"mpafer-tests-{os.getpid()}"


def pytest_configure() -> None:
    """Nothing that the user has exported changes a test, nor does what lies in the user's cache."""
    os.environ["MPAFER_CACHE"] = str(CACHE)  # of fixtures that several tests share
    for variable in VARIABLES:
        os.environ.pop(variable, None)


def pytest_unconfigure() -> None:
    shutil.rmtree(CACHE, ignore_errors=True)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same random numbers in every test, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    import torch

    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, also for the processes it starts."""
    monkeypatch.setenv("MPAFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A miniature RAF-DB and a random CLIP, with a cache that the tests of a file share."""
    from support.runs import make_world

    folder = make_world(tmp_path_factory.mktemp("world"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPAFER_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture
def repo() -> Path:
    """The root of the checkout."""
    return REPO


@pytest.fixture
def cfg(tmp_path: Path) -> CfgNode:
    """The config tree with the options of all methods and data sets, its data root a fresh folder."""
    from support.runs import whole_config

    config = whole_config()
    config.DATASET.ROOT = str(tmp_path)
    config.SEED = 1
    return config
