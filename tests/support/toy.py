"""A data set of tiny images and a linear trainer, also for other processes to run."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import sys
import time
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from yacs.config import CfgNode

from mpafer.common import distributed
from mpafer.common.defaults import default_config
from mpafer.common.seeds import set_random_seed
from mpafer.engine.checkpoint import save_checkpoint
from mpafer.engine.optim import build_optimizer
from mpafer.engine.schedule import build_lr_scheduler
from mpafer.engine.trainer import Trainer
from mpafer.inputs import hashing
from mpafer.inputs.datum import Datum
from mpafer.inputs.store import open_store

AUGMENTATIONS = ("random_resized_crop", "random_flip", "colorjitter", "normalize", "random_erasing")
SPLITS = {"train": 24, "val": 9, "test": 13}


def draw_images(root: Path) -> None:
    """Three classes, brighter from one to the next."""
    rng = np.random.default_rng(0)
    for split, count in SPLITS.items():
        for i in range(count):
            pixels = rng.integers(0, 120, (12, 12, 3)) + i % 3 * 45
            Image.fromarray(pixels.astype(np.uint8)).save(root / f"{split}{i}.png")


class ToyFaces:
    """Splits of SPLITS' sizes."""

    num_classes = 3
    lab2cname: ClassVar[dict[int, str]] = {i: f"class{i}" for i in range(3)}

    def __init__(self, root: str, *, val: bool = True) -> None:
        def split(name: str) -> list[Datum]:
            return [Datum(str(Path(root) / f"{name}{i}.png"), i % 3, 0, f"class{i % 3}") for i in range(SPLITS[name])]

        self.train_x, self.val, self.test = split("train"), split("val") if val else None, split("test")


class ToyModel(nn.Module):
    """A linear classifier on pixels, with dropout, so that its training depends on torch's generator."""

    def __init__(self, pixels: int, dropout: float) -> None:
        super().__init__()
        self.prompts = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(pixels, 3))

    def forward(self, images: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.prompts(images))

    def losses(self, out: SimpleNamespace, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        loss = F.cross_entropy(out.logits, labels)
        return {"ce_loss": loss, "other_loss": loss.new_zeros(())}


class ToyTrainer(Trainer):
    """Trains `ToyModel` on `ToyFaces`; its options are those of `toy_cfg`."""

    def load_dataset(self, cfg: CfgNode) -> ToyFaces:
        return ToyFaces(cfg.DATASET.ROOT, val=cfg.TRAINER.TOY.VAL)

    def build_model(self) -> None:
        height, width = self.cfg.INPUT.SIZE
        self.model = ToyModel(3 * height * width, self.cfg.TRAINER.TOY.DROPOUT).to(self.device)
        self.trained = self.model.prompts
        self.optim = build_optimizer(self.trained, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.parallel = distributed.wrap(self.model)

    @property
    def weights(self) -> torch.Tensor:
        return self.model.get_parameter("prompts.2.weight").detach().clone()


def toy_cfg(root: Path, output: Path, *options: Any) -> Any:
    cfg = default_config()
    cfg.TRAINER.TOY = CfgNode({"DROPOUT": 0.2, "VAL": True})
    settings = {
        "DATASET.NAME": "ToyFaces",
        "DATASET.ROOT": str(root),
        "OUTPUT_DIR": str(output),
        "SEED": 0,
        "USE_CUDA": False,
        "INPUT.SIZE": (8, 8),
        "INPUT.TRANSFORMS": AUGMENTATIONS,
        "DATALOADER.NUM_WORKERS": 0,
        "DATALOADER.TRAIN_X.BATCH_SIZE": 4,
        "DATALOADER.TEST.BATCH_SIZE": 5,
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
    return ToyTrainer(cfg)


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


def count_and_store(root: Path, paths: list[str]) -> None:
    """In a process of its own: open the store, leaving a file for each image decoded."""
    calls = []

    def decode(image: Image.Image) -> np.ndarray:
        calls.append(image.size)
        time.sleep(0.02)
        return np.asarray(image)

    opened = open_store(paths, decode, "race", root, 1.0)
    total = sum(int(opened[i].long().sum()) for i in range(len(paths)))
    (root / f"{os.getpid()}.count").write_text(f"{len(calls)} {total}")


def hash_in_one_part(cache: Path, paths: list[str]) -> None:
    """In a process of its own: ask for hashes, one file at a time, in a memory of one part."""
    os.environ["MPAFER_CACHE"], hashing.PARTS = str(cache), 1
    for path in paths:
        hashing.content_hashes([path])
