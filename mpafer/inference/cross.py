"""Evaluate a finished run on the test split of another data set, and write a results file of the usual shape."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor
from yacs.config import CfgNode

from mpafer.common.config import dataset_title, merge, read_pairs
from mpafer.common.defaults import add_keys
from mpafer.common.devices import chosen_device
from mpafer.common.errors import MissingFileError, OptionError
from mpafer.common.versions import package_version
from mpafer.datasets import find_dataset
from mpafer.evaluation.classes import CROSS_CLASSES, Matched, match_classes
from mpafer.evaluation.metrics import classification_metrics
from mpafer.evaluation.predictions import Batch, Predictions, collect_predictions
from mpafer.inference.saved import SavedRun, build_run, read_run
from mpafer.inputs.loaders import build_loader
from mpafer.results.schema import RESULTS, RunResult
from mpafer.run_config import COMMAND_LINE, run_config

FREE = ("DATASET.", "DATALOADER.", "TEST.CROSS_CLASSES")  # what may be set here: all else is the run's
INHERITED = ("train_seconds", "images_per_second")


def evaluate(
    run: str | Path,
    dataset: str,
    root: str,
    out: str | Path,
    *,
    options: Sequence[str] = (),
    epoch: int | None = None,
    backbone: str = "",
    device: str | torch.device = "cpu",
) -> RunResult:
    """Test ``run`` on ``dataset``, and write results.json and scores.npz into ``out``.

    Args:
        run: output folder of a finished run; with ``epoch`` it need not be finished.
        dataset: a YAML file's name in configs/datasets, or a path to one, or a registered class.
        root: folder of the data sets.
        out: not the run's own folder.
        options: KEY VALUE pairs, of FREE.
        epoch: which checkpoint; default the best one, or else the last.
        backbone: name or path of CLIP's weights, where they are not where the run had them.
        device: where the model goes.

    Returns:
        What results.json holds.

    Raises:
        MissingFileError: no finished run, or no data.
        OptionError: an option that is not free.
        CheckpointError: another backbone.
        DataError: no class in common.
    """
    finished = Path(run) / RESULTS
    if epoch is None and not finished.is_file():
        raise MissingFileError(f"{finished} is not there: no finished run (--epoch takes a checkpoint of another)")
    if Path(out).resolve() == Path(run).resolve():
        raise OptionError(f"{out} is the run's own folder: its results would be lost")
    saved = read_run(run, epoch)
    cfg = target_cfg(saved, dataset, root, options)
    data = find_dataset(cfg.DATASET.NAME)(cfg)
    matched = match_classes(data.test or [], data.classnames, saved.classnames, cfg.TEST.CROSS_CLASSES)
    ours = dict(zip(saved.classnames, saved.display_names, strict=True))
    matched = matched.shown_as(ours, data.spellings)
    print(describe(saved, cfg, matched))
    predictions = _predict(saved, cfg, matched, backbone, device)
    own = RunResult.read(finished) if finished.is_file() else None
    metrics = {key: own.metrics[key] for key in ("accuracy", "uar")} if own and epoch is None else None
    source = {
        "run": str(run), "dataset": saved.cfg.DATASET.NAME, "title": dataset_title(saved.cfg),
        "classnames": saved.classnames, "display_names": saved.display_names, "metrics": metrics,
    }  # fmt: skip
    cfg.DATASET.NUM_SHOTS = saved.cfg.DATASET.NUM_SHOTS  # that the run learned from
    labels, scores = predictions.labels.numpy(), predictions.scores.numpy()
    result = RunResult(
        trainer=saved.method,
        dataset=cfg.DATASET.NAME,
        split="test",
        seed=saved.seed,
        epochs=saved.epochs,
        engine={"name": "mpafer", "version": package_version("mpafer")},
        device=str(device),
        config=yaml.safe_load(cfg.dump()),
        classnames=matched.classnames,
        display_names=matched.display_names,
        images=[os.path.relpath(path, root) for path in predictions.impaths],
        skipped=data.skipped,
        metrics=classification_metrics(labels, scores, matched.display_names),
        labels=labels,
        predicted=predictions.predicted,
        learnable_values=sum(value.numel() for value in saved.prompts.values()),
        checkpoint_bytes=saved.checkpoint.stat().st_size if saved.checkpoint else 0,
        cross={
            "source": source, "rule": cfg.TEST.CROSS_CLASSES, "dropped": matched.dropped, "absent": matched.absent
        },
        **{key: getattr(own, key) for key in INHERITED if own},
    )  # fmt: skip
    result.write(out, scores)
    return result


def evaluate_and_tell(*where: Any, device: str = "", **how: Any) -> None:
    """`evaluate`, on the GPU where there is one and no ``device`` is named; prints what came out."""
    result = evaluate(*where, device=chosen_device(device), **how)
    print(f"* accuracy: {result.metrics['accuracy']:.1f}%\n* uar: {result.metrics['uar']:.1f}%\nWritten: {where[-1]}")


@torch.no_grad()
def _predict(saved: SavedRun, cfg: CfgNode, matched: Matched, backbone: str, device: str | torch.device) -> Predictions:
    """The run's answers to the matched images, among the classes that may be answered."""
    model, transform = build_run(saved, backbone=backbone, device=device)
    cfg.USE_CUDA = torch.device(device).type == "cuda"
    loader = build_loader(cfg, matched.items, transform, batch_size=cfg.DATALOADER.TEST.BATCH_SIZE)

    def infer(batch: Batch) -> tuple[Tensor, Tensor]:
        return model(batch["img"].to(device)).logits[:, matched.columns], batch["label"]

    return collect_predictions(loader, infer)


def target_cfg(saved: SavedRun, dataset: str, root: str, options: Sequence[str]) -> CfgNode:
    """The run's config with another data set's node; its test split whole, nothing cut or drawn."""
    for key in options[::2]:
        if not key.startswith(FREE):
            raise OptionError(f"{key} is the run's own; here may be set: {', '.join(FREE)}")
    cfg = saved.cfg.clone()
    fresh = run_config(saved.method, dataset, pairs=())
    cfg.DATASET = fresh.DATASET
    for node in ("DATALOADER", "TEST"):  # keys that are younger than the run
        add_keys(cfg[node], fresh[node])
    cfg.DATASET.DESCRIPTIONS = saved.cfg.DATASET.get("DESCRIPTIONS", "")  # of the model, not of the data
    cfg.DATASET.ROOT, cfg.SEED = root, saved.seed
    cfg.TEST.SPLIT, cfg.TEST.FINAL_MODEL, cfg.VERBOSE = "test", "last_step", False
    merge(cfg, COMMAND_LINE, read_pairs(options))
    return cfg


def describe(saved: SavedRun, cfg: CfgNode, matched: Matched) -> str:
    """What is evaluated on what, and what is left out by which rule."""
    left_out = ", ".join(f"{name} {count:,}" for name, count in matched.dropped.items())
    absent = ", ".join(matched.absent)
    rule = cfg.TEST.CROSS_CLASSES
    trained = f"trained on {dataset_title(saved.cfg)}, seed {saved.seed}" if saved.prompts else "which learns nothing"
    return "\n".join(
        [
            f"{saved.method}, {trained}; tested on {dataset_title(cfg)}: {len(matched.items):,} images",
            f"Dropped, of classes the run does not know: {sum(matched.dropped.values()):,} images"
            + (f" ({left_out})" if left_out else ""),
            f"Classes that {dataset_title(cfg)} lacks: "
            + (f"{absent}; {CROSS_CLASSES[rule]} (TEST.CROSS_CLASSES {rule})" if absent else "none"),
        ]
    )
