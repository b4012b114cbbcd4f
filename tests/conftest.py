"""Fixtures that several test files use."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models: more threads only get in each other's way

import pytest

REPO = Path(__file__).parent.parent


@pytest.fixture
def repo() -> Path:
    """The root of the checkout."""
    return REPO


@pytest.fixture
def cfg(tmp_path: Path):
    """Dassl's default config tree with our keys, its data root a fresh folder."""
    import mpafer
    from mpafer.engine.host import get_cfg_default

    config = get_cfg_default()
    mpafer.extend_cfg(config, baselines=True)
    config.DATASET.ROOT = str(tmp_path)
    config.SEED = 1
    return config


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("MPAFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
