"""Scores of every image of a split, whole on every rank: what evaluators and results files read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mpafer.common import distributed
from mpafer.common.errors import DataError
from mpafer.common.progress import progress

Batch = dict[str, Any]  # img, label, impath, index


@dataclass(frozen=True)
class Predictions:
    """scores [N, C] in float32 and labels [N], on the CPU, in the order of the split; the N images' paths."""

    scores: Tensor
    labels: Tensor
    impaths: list[str]

    @property
    def predicted(self) -> np.ndarray:
        """The class with the highest score [N]."""
        return self.scores.numpy().argmax(axis=1)


@torch.no_grad()
def collect_predictions(loader: Iterable[Batch], infer: Callable[[Batch], tuple[Tensor, Tensor]]) -> Predictions:
    """Run ``infer`` (batch -> scores [B, C], labels [B]) over a loader whose batches carry ``index`` and
    ``impath``.

    In a distributed run each rank may see a part or all of the split: every image counts once.

    Raises:
        DataError: no images, or scores that are NaN or infinite.
    """
    parts = []
    for batch in progress(loader, "evaluate"):
        scores, labels = infer(batch)
        index = torch.as_tensor(batch["index"]).numpy()
        parts.append((index, list(batch["impath"]), labels.cpu().numpy(), scores.float().cpu().numpy()))
    parts = distributed.gather_objects(parts)
    if not parts:
        raise DataError("no images to evaluate")
    index, first = np.unique(np.concatenate([part[0] for part in parts]), return_index=True)
    impaths = [path for part in parts for path in part[1]]
    predictions = Predictions(
        scores=torch.from_numpy(np.concatenate([part[3] for part in parts])[first]),
        labels=torch.from_numpy(np.concatenate([part[2] for part in parts])[first]),
        impaths=[impaths[i] for i in first],
    )
    refuse_nonfinite(predictions.scores, predictions.impaths)
    return predictions


def refuse_nonfinite(scores: Tensor, impaths: Sequence[str]) -> None:
    """Raises DataError where scores [N, C] of N images are NaN or infinite; names the first image."""
    bad = (~torch.isfinite(scores)).any(dim=1)
    if bad.any():
        raise DataError(
            f"the model's answer is NaN or infinite for {int(bad.sum())} of {len(bad)} images, first "
            f"{impaths[int(bad.int().argmax())]}: no answer is given; its weights are damaged, or overflow (with PREC "
            "fp16 or bf16, try fp32)"
        )
