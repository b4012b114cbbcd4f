"""Alignment losses, one equation each. All reduce to a scalar and work on unit vectors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def contrastive_alignment(soft: Tensor, hard: Tensor, tau: float) -> Tensor:
    """``-1/C sum_d log( exp(sim(soft_d, hard_d)/tau) / sum_c exp(sim(soft_c, hard_d)/tau) )``.

    For every hard prompt d the matching soft prompt has to win among all classes. [C, W], [C, W] -> scalar.
    """
    logits = F.normalize(hard, dim=-1) @ F.normalize(soft, dim=-1).T / tau  # [d, c]
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def l1_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean over rows of ``|| a/|a| - b/|b| ||_1``: [M, D], [M, D] -> scalar."""
    return (F.normalize(a, dim=-1) - F.normalize(b, dim=-1)).abs().sum(dim=-1).mean()


def cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean over rows of ``1 - sim(a, b)``: [M, D], [M, D] -> scalar."""
    return 1 - F.cosine_similarity(a, b, dim=-1).mean()


DISTANCES = {"l1": l1_distance, "cosine": cosine_distance}
