"""A data set of tiny images and a linear trainer on the built-in engine, also for other processes to run."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import sys
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from mpafer.common import distributed
from mpafer.common.defaults import get_cfg_default
from mpafer.common.registry import TRAINER_REGISTRY
from mpafer.common.seeds import set_random_seed
from mpafer.engine import host
from mpafer.engine.checkpoint import save_checkpoint
from mpafer.engine.optim import build_optimizer
from mpafer.engine.schedule import build_lr_scheduler
from mpafer.engine.trainer import TrainerX

AUGMENTATIONS = ("random_resized_crop", "random_flip", "colorjitter", "normalize", "random_erasing")
SPLITS = {"train": 24, "val": 9, "test": 13}


def draw_images(root: Path) -> None:
    """Three classes, brighter from one to the next."""
    rng = np.random.default_rng(0)
    for split, count in SPLITS.items():
        for i in range(count):
            pixels = rng.integers(0, 120, (12, 12, 3)) + i % 3 * 45
            Image.fromarray(pixels.astype(np.uint8)).save(root / f"{split}{i}.png")


@host.DATASET_REGISTRY.register()
class ToyFaces(host.DatasetBase):
    """Splits of SPLITS' sizes; VAL_PERCENT 0 leaves out the validation split."""

    def __init__(self, cfg: Any) -> None:
        def split(name: str) -> list[host.Datum]:
            return [
                host.Datum(str(Path(cfg.DATASET.ROOT) / f"{name}{i}.png"), i % 3, 0, f"class{i % 3}")
                for i in range(SPLITS[name])
            ]

        val = split("val") if cfg.DATASET.VAL_PERCENT else None
        super().__init__(train_x=split("train"), val=val, test=split("test"))


@TRAINER_REGISTRY.register()
class ToyTrainer(TrainerX):
    """A linear classifier on pixels; HEAD.DROPOUT makes its training depend on torch's generator."""

    def build_model(self) -> None:
        height, width = self.cfg.INPUT.SIZE
        dropout = nn.Dropout(self.cfg.MODEL.HEAD.DROPOUT)
        self.model = nn.Sequential(nn.Flatten(), dropout, nn.Linear(3 * height * width, 3)).to(self.device)
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("linear", self.model, self.optim, self.sched)
        self.replica = distributed.wrap(self.model)

    def model_inference(self, input: torch.Tensor) -> torch.Tensor:
        return self.model(input)

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, float]:
        images, labels, _ = self.parse_batch_train(batch)
        loss = F.cross_entropy(self.replica(images), labels)
        self.model_backward_and_update(loss, terms={"ce_loss": loss, "other_loss": 0.0})
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return {"loss": loss.item()}

    @property
    def weights(self) -> torch.Tensor:
        return self.model.get_parameter("2.weight").detach().clone()


def toy_cfg(root: Path, output: Path, *options: Any) -> Any:
    cfg = get_cfg_default()
    settings = {
        "DATASET.NAME": "ToyFaces",
        "DATASET.ROOT": str(root),
        "TRAINER.NAME": "ToyTrainer",
        "OUTPUT_DIR": str(output),
        "SEED": 0,
        "USE_CUDA": False,
        "INPUT.SIZE": (8, 8),
        "INPUT.TRANSFORMS": AUGMENTATIONS,
        "DATALOADER.NUM_WORKERS": 0,
        "DATALOADER.TRAIN_X.BATCH_SIZE": 4,
        "DATALOADER.TEST.BATCH_SIZE": 5,
        "MODEL.HEAD.DROPOUT": 0.2,
        "OPTIM.NAME": "sgd",
        "OPTIM.LR": 0.01,
        "OPTIM.LR_SCHEDULER": "cosine",
        "OPTIM.WARMUP_EPOCH": 1,
        "OPTIM.WARMUP_TYPE": "constant",
        "OPTIM.MAX_EPOCH": 4,
        "TRAIN.PRINT_FREQ": 3,
    }
    cfg.merge_from_list([item for pair in settings.items() for item in pair])
    cfg.merge_from_list(list(options))
    return cfg


def build(root: Path, output: Path, *options: Any) -> ToyTrainer:
    cfg = toy_cfg(root, output, *options)
    if cfg.SEED >= 0:
        set_random_seed(cfg.SEED)
    return TRAINER_REGISTRY.get(cfg.TRAINER.NAME)(cfg)


def train(root: Path, output: Path, *options: Any) -> ToyTrainer:
    trainer = build(root, output, *options)
    trainer.train()
    return trainer


# --- other processes


def processes() -> BaseContext:
    """Processes that start with this module imported: forks of one that has never computed anything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with pytest.MonkeyPatch.context() as patch:  # not every Python hands sys.path on to the server
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    return context


def train_quietly(root: Path, output: Path, *options: Any) -> None:
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(io.StringIO()):
        train(root, output, *options)


def train_as_rank(rank: int, ranks: int, port: int, root: Path, output: Path, *options: Any) -> None:
    """One process of a distributed run; leaves its weights and predictions in ``output``/rank<rank>.pt."""
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks), **address)
    distributed.init(use_cuda=False)
    torch.set_num_threads(1)
    trainer = train(root, output, *options)
    assert trainer.predictions is not None
    scores, impaths = trainer.predictions.scores, trainer.predictions.impaths
    torch.save({"weights": trainer.weights, "scores": scores, "images": impaths}, output / f"rank{rank}.pt")
    print(f"printed by rank {rank}", flush=True)
    distributed.shutdown()


def save_forever(directory: Path) -> None:
    """Epoch after epoch, a checkpoint whose content tells its epoch."""
    from mpafer.engine.checkpoint import prune_checkpoints

    with contextlib.redirect_stdout(io.StringIO()):
        for epoch in range(1, 1_000_000):
            save_checkpoint({"value": torch.full((200_000,), float(epoch))}, directory, epoch=epoch)
            prune_checkpoints(directory, keep=lambda epoch: False)
