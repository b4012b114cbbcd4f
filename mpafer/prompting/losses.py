"""Alignment losses, one equation each. All reduce to a scalar and work on unit vectors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def balanced_class_weights(labels: Tensor, classes: int) -> Tensor:
    """``N / (C n_c)`` for each class, from the N training labels; the training images' mean weight is 1. [N] -> [C]."""
    return len(labels) / (classes * torch.bincount(labels, minlength=classes).clamp(min=1))


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """``1/B sum_b w_(y_b) (-log p_(y_b))``: [B, C], [B], [C] -> scalar.

    The divisor is the batch size, not the batch's sum of weights: by that sum the weights of a batch of one image would
    cancel (CoCoOp's is one), and processes with a part of a batch each would not give the whole batch's gradient.
    """
    if weights is None:
        return F.cross_entropy(logits, labels)
    return F.cross_entropy(logits, labels, weight=weights, reduction="none").mean()


def contrastive_alignment(soft: Tensor, hard: Tensor, tau: float) -> Tensor:
    """``-1/C sum_d log( exp(sim(soft_d, hard_d)/tau) / sum_c exp(sim(soft_c, hard_d)/tau) )``.

    For every hard prompt d the matching soft prompt has to win among all classes. [C, W], [C, W] -> scalar.
    """
    logits = F.normalize(hard, dim=-1) @ F.normalize(soft, dim=-1).T / tau  # [d, c]
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def l1_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean over rows of ``|| a/|a| - b/|b| ||_1``: [M, D], [M, D] -> scalar."""
    return (F.normalize(a, dim=-1) - F.normalize(b, dim=-1)).abs().sum(dim=-1).mean()


def l1_distance_per_entry(a: Tensor, b: Tensor) -> Tensor:
    """`l1_distance` averaged over the D entries too, PromptSRC's habit: smaller by the factor D (512 in ViT-B/16)."""
    return l1_distance(a, b) / a.shape[-1]


def cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean over rows of ``1 - sim(a, b)``: [M, D], [M, D] -> scalar."""
    return 1 - F.cosine_similarity(a, b, dim=-1).mean()


DISTANCES = {"l1": l1_distance, "l1_mean": l1_distance_per_entry, "cosine": cosine_distance}
