"""From a trainer that has just been tested to its results file."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import torch
import yaml

from mpafer.common.versions import package_version
from mpafer.results.schema import RunResult

if TYPE_CHECKING:
    from mpafer.engine.trainer import Trainer


def peak_memory(device: torch.device) -> tuple[int, str]:
    """Most bytes in use so far, and of what: tensors on the "gpu", or the whole "process" (0 where unknown).

    Of this process alone: a resumed run counts from its resumption, and of several processes it is the first one's.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device), "gpu"
    try:
        import resource
    except ImportError:  # Windows
        return 0, "process"
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most, "process"


def record_run(trainer: Trainer) -> None:
    """Write results.json and scores.npz into the run's folder, after ``trainer.test()``; paths relative to the root."""
    cfg, predictions, items = trainer.cfg, trainer.predictions, trainer.dm.dataset.train_x
    batch = min(cfg.DATALOADER.TRAIN_X.BATCH_SIZE, len(items))
    trained = trainer.max_epoch * len(trainer.dm.train_loader) * batch  # whichever epoch is the best one
    size = trainer.checkpoint.stat().st_size if trainer.checkpoint else 0
    memory, memory_of = peak_memory(trainer.device)
    learnable = sum(value.numel() for value in trainer.trained.parameters()) if trainer.trained else 0
    print(f"Checkpoint: {learnable:,} learnable values, {size:,} bytes")

    def relative(path: str) -> str:
        return os.path.relpath(path, cfg.DATASET.ROOT)

    RunResult(
        trainer=type(trainer).__name__,
        dataset=cfg.DATASET.NAME,
        split=cfg.TEST.SPLIT,
        seed=trainer.seed,
        epochs=trainer.trained_epochs,
        engine={"name": trainer.runner, "version": package_version(trainer.runner)},
        device=str(trainer.device),
        config=yaml.safe_load(cfg.dump()),
        classnames=trainer.classnames,
        metrics=trainer.metrics,
        images=[relative(path) for path in predictions.impaths],
        labels=predictions.labels.numpy(),
        predicted=predictions.predicted,
        learnable_values=learnable,
        checkpoint_bytes=size,
        train_seconds=trainer.train_seconds,
        images_per_second=trained / trainer.train_seconds if trainer.train_seconds else 0.0,
        peak_memory_bytes=memory,
        peak_memory_of=memory_of,
        fewshot_images=[relative(item.impath) for item in items] if cfg.DATASET.NUM_SHOTS > 0 else [],
    ).write(trainer.output_dir, predictions.scores.numpy())
