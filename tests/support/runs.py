"""Runs of the real runner on a small data set and a random CLIP, for tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from yacs.config import CfgNode

from support.commands import run_command
from support.miniatures import make_rafdb
from support.models import random_clip

REPO = Path(__file__).parent.parent.parent
SMALL = {  # KEY VALUE pairs that make any config small enough for a test
    "INPUT.SIZE": "(32, 32)",
    "DATALOADER.NUM_WORKERS": "0",
    "DATALOADER.TRAIN_X.BATCH_SIZE": "16",
    "TRAIN.PRINT_FREQ": "100",
    "OPTIM.MAX_EPOCH": "3",
}


def make_world(folder: Path, train: int = 8) -> Path:
    """A miniature RAF-DB and a random CLIP in ``folder``."""
    make_rafdb(folder / "data", train=train, test=4)
    state = random_clip().openai_state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "clip.safetensors")
    return folder


def arguments(world: Path, out: Path, *, seed: int = 1, trainer: str = "MPAFER", **options: Any) -> list[str]:
    """Command line of train.py; ``flags`` among the options go before the KEY VALUE pairs."""
    flags = options.pop("flags", [])
    pairs = SMALL | {key: str(value) for key, value in options.items()}
    dataset, method = REPO / "configs/datasets/rafdb.yaml", REPO / "configs/trainers" / trainer / "tiny.yaml"
    return [
        str(REPO / "train.py"), "--root", str(world / "data"), "--seed", str(seed), "--trainer", trainer,
        "--dataset-config-file", str(dataset), "--config-file", str(method), "--output-dir", str(out),
        "--backbone", str(world / "clip.safetensors"), *flags, *(word for pair in pairs.items() for word in pair),
    ]  # fmt: skip


def environment(world: Path) -> dict[str, str]:
    return os.environ | {"MPAFER_CACHE": str(world / "cache"), "OMP_NUM_THREADS": "1"}


def run(world: Path, out: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Start train.py as a process of its own and wait for its end."""
    command = [sys.executable, *arguments(world, out, **options)]
    return subprocess.run(command, env=environment(world), capture_output=True, text=True)


def train_in_process(world: Path, out: Path, **options: Any) -> str:
    """Run train.py in this process; returns what it printed. SystemExit is its one-line error."""
    with patch.dict(os.environ, environment(world)):
        return run_command(*arguments(world, out, **options))


def results(out: Path) -> dict[str, Any]:
    return json.loads((out / "results.json").read_text())


def scores(out: Path) -> np.ndarray:
    return np.load(out / "scores.npz")["scores"]


def prompts(out: Path) -> dict[str, torch.Tensor]:
    """The learned tensors of a finished run."""
    folder = out / "prompts"
    path = folder / (folder / "checkpoint").read_text().strip()
    return torch.load(path, weights_only=True)["state_dict"]


def whole_config() -> CfgNode:
    """The config tree with the options of all methods and data sets."""
    from mpafer.common.defaults import default_config
    from mpafer.datasets import DATASETS
    from mpafer.run_config import add_options
    from mpafer.trainers import METHODS

    config = default_config()
    add_options(config, METHODS.values(), DATASETS.values())
    return config


def tiny_options(cfg: CfgNode, method: str) -> dict[str, Any]:
    """A method's options in its shipped tiny.yaml; ``cfg`` is a config that may be changed."""
    from mpafer.common.config import merge, read_file
    from mpafer.run_config import add_options, find_method
    from mpafer.runs.catalog import method_file

    path = method_file(method, "tiny")
    add_options(cfg, [find_method(method)], [])
    merge(cfg, str(path), read_file(path))
    return asdict(find_method(method).options_from(cfg))


def make_trainer(world: Path, out: Path, method: str, dataset: str = "rafdb", *, seed: int = 1, **options: Any) -> Any:
    """A method's trainer in this process, on a miniature data set and the tiny CLIP, with its shipped tiny.yaml."""
    from mpafer.common.seeds import set_random_seed
    from mpafer.run_config import find_method, run_config
    from mpafer.runs.catalog import method_file

    pairs = SMALL | {"INPUT.SIZE": "(96, 96)"} | {key: str(value) for key, value in options.items()}
    flags = {"DATASET.ROOT": str(world / "data"), "OUTPUT_DIR": str(out), "SEED": seed}
    cfg = run_config(
        method, dataset, method_file=method_file(method, "tiny"), flags=flags,
        pairs=[word for pair in pairs.items() for word in pair],
    )  # fmt: skip
    set_random_seed(seed)
    return find_method(method)(cfg)


def interrupt(trainer: Any, epoch: int) -> None:
    """Train, and break off at the start of ``epoch``, counted from 0."""
    run_epoch = trainer.run_epoch

    def stop() -> None:
        if trainer.epoch == epoch:
            raise KeyboardInterrupt
        run_epoch()

    trainer.run_epoch = stop
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
