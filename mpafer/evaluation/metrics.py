"""Classification figures from per-image scores, by scikit-learn and torchmetrics; percentages in 0..100."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mpafer.common.errors import DataError

ECE_BINS = 15


def classification_metrics(labels: Any, scores: Any, classnames: Sequence[str]) -> dict[str, Any]:
    """All figures of a results file.

    Args:
        labels: [N] integers in 0..C-1.
        scores: [N, C] logits; their softmax gives confidences.
        classnames: C names.

    Returns:
        accuracy: share of correct images (WAR). uar, macro_f1: mean recall and mean F1 over the classes that occur
        among the labels. ece: expected calibration error, 15 bins. per_class_recall: name -> recall, None for an absent
        class. confusion: C rows (true) of C counts (predicted).

    Raises:
        DataError: no image, or a score that is not finite.
        ValueError: shapes that do not fit, a label out of range, or a class name that repeats.
    """
    from sklearn.metrics import confusion_matrix, f1_score, recall_score  # slow to import

    labels = torch.as_tensor(labels).cpu()
    scores = torch.as_tensor(scores).float().cpu()
    _check(labels, scores, classnames)
    truth, predicted = labels.numpy(), scores.argmax(dim=1).numpy()
    present = np.unique(truth)
    counts = confusion_matrix(truth, predicted, labels=range(len(classnames)))
    return {
        "accuracy": 100.0 * float(np.mean(truth == predicted)),
        "uar": 100.0 * float(recall_score(truth, predicted, labels=present, average="macro")),
        "macro_f1": 100.0 * float(f1_score(truth, predicted, labels=present, average="macro")),
        "ece": 100.0 * _calibration_error(scores, labels),
        "per_class_recall": {
            name: 100.0 * float(row[i] / row.sum()) if row.sum() else None
            for i, (name, row) in enumerate(zip(classnames, counts, strict=True))
        },
        "confusion": counts.tolist(),
    }


def _check(labels: torch.Tensor, scores: torch.Tensor, classnames: Sequence[str]) -> None:
    if not len(labels):
        raise DataError("no images to evaluate")
    if scores.shape != (len(labels), len(classnames)):
        raise ValueError(f"scores have shape {tuple(scores.shape)}, expected ({len(labels)}, {len(classnames)})")
    if len(set(classnames)) < len(classnames):
        raise ValueError(f"class names repeat: {', '.join(classnames)}")
    if labels.min() < 0 or labels.max() >= len(classnames):
        raise ValueError(f"labels span {labels.min()}..{labels.max()}, expected 0..{len(classnames) - 1}")
    bad = (~torch.isfinite(scores)).any(dim=1)
    if bad.any():
        raise DataError(f"the scores of {int(bad.sum())} images are infinite or NaN, first image {bad.int().argmax()}")


def _calibration_error(scores: torch.Tensor, labels: torch.Tensor) -> float:
    from torchmetrics.functional.classification import multiclass_calibration_error  # slow to import

    if scores.shape[1] < 2:  # one class: certain and right
        return 0.0
    probabilities = scores.double().softmax(dim=1).float()
    return float(multiclass_calibration_error(probabilities, labels, scores.shape[1], n_bins=ECE_BINS))
