"""The results file of a run: everything a table, a comparison or a later analysis needs, in one JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mpafer.common.files import atomic_file
from mpafer.common.versions import commit, versions

RESULTS, SCORES = "results.json", "scores.npz"


def _plain(value: Any) -> Any:
    """What JSON cannot hold: NumPy's numbers become plain ones, everything else text."""
    return value.item() if isinstance(value, np.generic) else str(value)


def write_results(
    directory: str | Path,
    *,
    trainer: str,
    dataset: str,
    split: str,
    seed: int,
    epochs: int,
    engine: Mapping[str, str],
    device: str,
    config: Mapping[str, Any],
    classnames: Sequence[str],
    images: Sequence[str],
    labels: Any,
    scores: Any,
    learnable_values: int = 0,
    checkpoint_bytes: int = 0,
    train_seconds: float = 0.0,
    images_per_second: float = 0.0,
    peak_memory_bytes: int = 0,
    peak_memory_of: str = "process",
    fewshot_images: Sequence[str] = (),
    cross: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write ``scores.npz`` and then ``results.json`` into ``directory``; a run is finished when the JSON
    exists.

    images: N paths, relative to the data root; labels [N]; scores [N, C] logits, C = len(classnames).
    engine: {"name", "version"}; peak_memory_of: "gpu" or "process"; cross: where a run is tested on another data set
    (`mpafer.cross`), what run that is and what was left out. Returns what the JSON holds. Raises ValueError where
    lengths or scores are unusable.
    """
    from mpafer.evaluation.metrics import classification_metrics  # scikit-learn is slow to import

    scores = np.asarray(scores, dtype=np.float32)
    labels = np.asarray(labels, dtype=np.int64)
    if not len(images) == len(labels) == len(scores):
        raise ValueError(f"{len(images)} images, {len(labels)} labels and {len(scores)} rows of scores do not fit")
    predictions = zip(images, labels.tolist(), scores.argmax(axis=1).tolist(), strict=True)
    record = {
        "trainer": trainer,
        "dataset": dataset,
        "split": split,
        "seed": seed,
        "epochs": epochs,
        "engine": dict(engine),
        "versions": versions(),
        "commit": commit(),
        "device": device,
        "config": config,
        "classnames": list(classnames),
        "metrics": classification_metrics(labels, scores, classnames),
        "num_images": len(images),
        "predictions": [{"image": str(i), "label": label, "pred": pred} for i, label, pred in predictions],
        "scores_file": SCORES,
        "learnable_values": learnable_values,
        "checkpoint_bytes": checkpoint_bytes,
        "train_seconds": train_seconds,
        "images_per_second": images_per_second,
        "peak_memory_bytes": peak_memory_bytes,
        "peak_memory_of": peak_memory_of,
        "fewshot_images": [str(i) for i in fewshot_images],
    }
    record |= {"cross": dict(cross)} if cross else {}
    text = json.dumps(record, indent=1, allow_nan=False, default=_plain)
    with atomic_file(Path(directory) / SCORES) as file:
        np.savez_compressed(file, scores=scores, labels=labels)
    with atomic_file(Path(directory) / RESULTS) as file:
        file.write(text.encode())
    return record
