"""From a trainer that has just been tested to its results file."""

from __future__ import annotations

import os
import sys

import torch
import yaml

from mpafer.common.versions import package_version
from mpafer.engine.state import RunState
from mpafer.results.schema import RunResult


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


def record_run(run: RunState) -> None:
    """Write results.json and scores.npz into the run's folder, after its test; paths relative to the root."""
    cfg, predictions, items = run.cfg, run.predictions, run.dm.dataset.train_x
    batch = min(cfg.DATALOADER.TRAIN_X.BATCH_SIZE, len(items))
    trained = run.max_epoch * len(run.dm.train_loader) * batch  # whichever epoch is the best one
    size = run.checkpoint.stat().st_size if run.checkpoint else 0
    memory, memory_of = peak_memory(run.device)
    learnable = sum(value.numel() for value in run.trained.parameters()) if run.trained else 0
    print(f"Checkpoint: {learnable:,} learnable values, {size:,} bytes")

    def relative(path: str) -> str:
        return os.path.relpath(path, cfg.DATASET.ROOT)

    RunResult(
        trainer=type(run).__name__,
        dataset=cfg.DATASET.NAME,
        split=cfg.TEST.SPLIT,
        seed=run.seed,
        epochs=run.trained_epochs,
        engine={"name": run.runner, "version": package_version(run.runner)},
        device=str(run.device),
        config=yaml.safe_load(cfg.dump()),
        classnames=run.classnames,
        display_names=run.display_names,
        metrics=run.metrics,
        images=[relative(path) for path in predictions.impaths],
        labels=predictions.labels.numpy(),
        predicted=predictions.predicted,
        made_of=dict(run.made_of),
        learnable_values=learnable,
        checkpoint_bytes=size,
        train_seconds=run.train_seconds,
        images_per_second=trained / run.train_seconds if run.train_seconds else 0.0,
        peak_memory_bytes=memory,
        peak_memory_of=memory_of,
        fewer_images=getattr(run.dm.dataset, "fewer_images", {}),
        skipped=getattr(run.dm.dataset, "skipped", {}),
        fewshot_images=[relative(item.impath) for item in items] if cfg.DATASET.NUM_SHOTS > 0 and not run.cross else [],
        cross=run.cross,
    ).write(run.output_dir, predictions.scores.numpy())
