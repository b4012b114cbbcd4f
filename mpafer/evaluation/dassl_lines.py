"""The lines that Dassl prints of an evaluation, which its users' scripts read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mpafer.common.files import atomic_file


def print_report(metrics: Mapping[str, Any], *, per_class: bool) -> None:
    """Dassl's report of `classification_metrics`, and UAR and calibration error below."""
    counts = torch.tensor(metrics["confusion"])
    print(
        "=> result\n"
        f"* total: {int(counts.sum()):,}\n"
        f"* correct: {int(counts.trace()):,}\n"
        f"* accuracy: {metrics['accuracy']:.1f}%\n"
        f"* error: {100.0 - metrics['accuracy']:.1f}%\n"
        f"* macro_f1: {metrics['macro_f1']:.1f}%\n"
        f"* uar: {metrics['uar']:.1f}%\n"
        f"* ece: {metrics['ece']:.1f}%"
    )
    if not per_class:
        return
    print("=> per-class result")
    for label, (name, recall) in enumerate(metrics["per_class_recall"].items()):
        if recall is not None:
            total, correct = int(counts[label].sum()), int(counts[label, label])
            print(f"* class: {label} ({name})\ttotal: {total:,}\tcorrect: {correct:,}\tacc: {recall:.1f}%")
    print(f"* average: {metrics['uar']:.1f}%")


def save_confusion(confusion: Sequence[Sequence[int]], path: Path) -> None:
    """cmat.pt as Dassl's: [C, C], each true class's row as shares of one."""
    counts = torch.tensor(confusion)
    with atomic_file(path) as file:
        torch.save(counts.double() / counts.sum(dim=1, keepdim=True).clamp(min=1), file)
    print(f"Confusion matrix is saved to {path}")
