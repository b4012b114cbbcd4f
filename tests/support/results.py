"""Finished runs on paper, for tests of tables: from scores to a results.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mpafer.evaluation.metrics import classification_metrics
from mpafer.results.schema import RESULTS, RunResult


def write_run(folder: Path, *, scores: Any, labels: Any, classnames: Any, **entries: Any) -> Path:
    """Write what a run with these scores [N, C] leaves; returns its results.json."""
    scores, labels = np.asarray(scores, dtype=np.float32), np.asarray(labels, dtype=np.int64)
    metrics = classification_metrics(labels, scores, classnames)
    settings: dict[str, Any] = {
        "split": "test", "epochs": 3, "engine": {"name": "mpafer", "version": "1"}, "device": "cpu",
    }  # fmt: skip
    result = RunResult(
        **settings | entries, classnames=classnames, labels=labels, predicted=scores.argmax(axis=1), metrics=metrics
    )
    result.write(folder, scores)
    return folder / RESULTS
