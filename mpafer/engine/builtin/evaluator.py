"""The evaluator of classification, with Dassl's report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mpafer.engine.builtin.registry import EVALUATOR_REGISTRY, build_evaluator
from mpafer.engine.files import atomic_file
from mpafer.engine.metrics import classification_metrics

__all__ = ["Classification", "EvaluatorBase", "build_evaluator"]


class EvaluatorBase:
    """reset(), then process() batch by batch, then evaluate()."""

    def __init__(self, cfg: Any) -> None:
        self.cfg = cfg

    def reset(self) -> None:
        raise NotImplementedError

    def process(self, mo: Tensor, gt: Tensor) -> None:
        raise NotImplementedError

    def evaluate(self) -> dict[str, float]:
        raise NotImplementedError


@EVALUATOR_REGISTRY.register()
class Classification(EvaluatorBase):
    """Accuracy, UAR, macro-F1, calibration error; keeps the ``scores`` [N, C] and ``labels`` [N] it saw."""

    def __init__(self, cfg: Any, lab2cname: Mapping[int, str] | None = None, **kwargs: Any) -> None:
        super().__init__(cfg)
        self._lab2cname = lab2cname or {}
        self.reset()

    def reset(self) -> None:
        self._scores: list[Tensor] = []
        self._labels: list[Tensor] = []

    @property
    def scores(self) -> Tensor:
        return torch.cat(self._scores)

    @property
    def labels(self) -> Tensor:
        return torch.cat(self._labels)

    def process(self, mo: Tensor, gt: Tensor) -> None:
        """Take model outputs ``mo`` [B, C] and labels ``gt`` [B]."""
        self._scores.append(mo.detach().float().cpu())
        self._labels.append(gt.detach().cpu())

    def evaluate(self) -> dict[str, float]:
        """Print the report and return its percentages, accuracy first."""
        names = [str(self._lab2cname.get(i, i)) for i in range(self.scores.shape[1])]
        # numbered, so that two classes of one name keep their own rows
        metrics = classification_metrics(self.labels, self.scores, [f"{i} ({name})" for i, name in enumerate(names)])
        counts = torch.tensor(metrics["confusion"])
        results = {
            "accuracy": metrics["accuracy"],
            "error_rate": 100.0 - metrics["accuracy"],
            "macro_f1": metrics["macro_f1"],
            "uar": metrics["uar"],
            "ece": metrics["ece"],
        }
        print(
            "=> result\n"
            f"* total: {len(self.labels):,}\n"
            f"* correct: {int(counts.trace()):,}\n"
            f"* accuracy: {results['accuracy']:.1f}%\n"
            f"* error: {results['error_rate']:.1f}%\n"
            f"* macro_f1: {results['macro_f1']:.1f}%\n"
            f"* uar: {results['uar']:.1f}%\n"
            f"* ece: {results['ece']:.1f}%"
        )
        if self.cfg.TEST.PER_CLASS_RESULT:
            self._print_classes(metrics["per_class_recall"], counts)
            results["perclass_accuracy"] = results["uar"]
        if self.cfg.TEST.COMPUTE_CMAT:
            self._save_confusion(counts)
        return results

    @staticmethod
    def _print_classes(recalls: Mapping[str, float | None], counts: Tensor) -> None:
        print("=> per-class result")
        for row, (name, recall) in enumerate(recalls.items()):
            if recall is not None:
                total, correct = int(counts[row].sum()), int(counts[row, row])
                print(f"* class: {name}\ttotal: {total:,}\tcorrect: {correct:,}\tacc: {recall:.1f}%")
        seen = [recall for recall in recalls.values() if recall is not None]
        print(f"* average: {sum(seen) / len(seen):.1f}%")

    def _save_confusion(self, counts: Tensor) -> None:
        """cmat.pt: [C, C], each true class's row as shares of one."""
        path = Path(self.cfg.OUTPUT_DIR) / "cmat.pt"
        with atomic_file(path) as file:
            torch.save(counts.double() / counts.sum(dim=1, keepdim=True).clamp(min=1), file)
        print(f"Confusion matrix is saved to {path}")
