"""From a trainer that has just been tested to its results file."""

from __future__ import annotations

import os
from collections.abc import Sequence

import yaml

from mpafer.engine import host
from mpafer.engine.builtin.trainer import SimpleTrainer
from mpafer.engine.results import write_results


def record_run(trainer: SimpleTrainer, classnames: Sequence[str], learnable_values: int) -> None:
    """Write results.json and scores.npz into the run's folder, after ``trainer.test()``; paths relative to the root."""
    cfg, predictions, items = trainer.cfg, trainer.predictions, trainer.dm.dataset.train_x
    assert predictions is not None  # test() has just made them
    batch = min(cfg.DATALOADER.TRAIN_X.BATCH_SIZE, len(items))
    trained = trainer.max_epoch * len(trainer.train_loader_x) * batch  # whichever epoch is the best one
    size = trainer.checkpoint.stat().st_size if trainer.checkpoint else 0
    print(f"Checkpoint: {learnable_values:,} learnable values, {size:,} bytes")

    def relative(path: str) -> str:
        return os.path.relpath(path, cfg.DATASET.ROOT)

    write_results(
        trainer.output_dir,
        trainer=type(trainer).__name__,
        dataset=cfg.DATASET.NAME,
        split=cfg.TEST.SPLIT,
        seed=trainer.seed,
        epochs=trainer.trained_epochs,
        engine={"name": host.ENGINE, "version": host.ENGINE_VERSION},
        device=str(trainer.device),
        config=yaml.safe_load(cfg.dump()),
        classnames=classnames,
        images=[relative(path) for path in predictions.impaths],
        labels=predictions.labels,
        scores=predictions.scores,
        learnable_values=learnable_values,
        checkpoint_bytes=size,
        train_seconds=trainer.train_seconds,
        images_per_second=trained / trainer.train_seconds if trainer.train_seconds else 0.0,
        fewshot_images=[relative(item.impath) for item in items] if cfg.DATASET.NUM_SHOTS > 0 else [],
    )
