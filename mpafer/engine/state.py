"""What a run in progress consists of: what the loop changes, a checkpoint keeps, and the log and results tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from torch import nn
from torch.optim import Optimizer
from yacs.config import CfgNode

from mpafer.common import distributed
from mpafer.engine.log import LossCheck, TensorBoard
from mpafer.engine.schedule import EpochScheduler
from mpafer.evaluation.predictions import Predictions
from mpafer.inputs.loaders import DataManager
from mpafer.prompting.precision import grad_scaler


class RunState:
    """The state of a run, with the places where a method adds its own.

    ``seed`` is the run's: cfg.SEED, or drawn once where that is negative.
    """

    runner: ClassVar[str] = "mpafer"  # the distribution whose train.py runs it
    dm: DataManager
    seed: int
    classnames: list[str]  # for prompts, and to match classes by
    display_names: list[str]  # for people
    model: Any  # in all our methods a `FrozenClip`
    trained: nn.Module | None = None  # what a checkpoint holds; None: nothing learns
    optim: Optimizer
    sched: EpochScheduler
    parallel: nn.Module  # the model, under DistributedDataParallel where there are several processes
    predictions: Predictions  # of the last test, and the figures made of them
    metrics: dict[str, Any]
    epoch = batch_idx = num_batches = start_epoch = 0
    trained_epochs = 0  # epochs behind the weights that the model has now, and the file that holds them
    checkpoint: Path | None = None
    train_seconds = 0.0  # in run_epoch, over all processes of the run
    best_result = -math.inf
    eval_only = False  # it will not train: nothing is made that only training needs
    force = False  # whether weights of a run with other options may be loaded
    made_of: Mapping[str, str] = MappingProxyType({})  # fingerprints, see `mpafer.common.identity`
    cross: Mapping[str, Any] | None = None  # of weights trained on other classes: see `RunResult.cross`
    images_read = 0  # of those whose contents are noted for `made_of`

    def __init__(self, cfg: CfgNode) -> None:
        self.cfg = cfg
        self.device = distributed.device(cfg.USE_CUDA)
        self.max_epoch: int = cfg.OPTIM.MAX_EPOCH
        self.output_dir: str = cfg.OUTPUT_DIR
        self.loss_check, self.tensorboard = LossCheck(), TensorBoard()
        self.scaler = grad_scaler()  # disabled, it passes everything through; mixed precision puts an enabled one here

    def extra_state(self) -> dict[str, Any]:
        """What a checkpoint holds beside weights, optimiser and schedule; plain values and tensors only."""
        state = {"scaler": self.scaler.state_dict(), "train_seconds": self.train_seconds}
        return state | {"best_result": float(self.best_result), "seed": self.seed}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.scaler.load_state_dict(state["scaler"])
        self.train_seconds, self.best_result, self.seed = (
            state[key] for key in ("train_seconds", "best_result", "seed")
        )

    def check_state(self, state: dict[str, Any], path: Path, *, resuming: bool) -> None:
        """A method's place to refuse a checkpoint (read from ``path``) that it cannot load, or not go on from."""

    def weights_loaded(self, state: dict[str, Any], path: Path) -> None:
        """A method's place to note whose weights it evaluates now; ``state`` was read from ``path``."""
