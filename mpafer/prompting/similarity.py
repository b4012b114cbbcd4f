"""Image-text similarities: global, sparse local, and their sum (supplement, section 2)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

ALIGNMENTS = ("global", "local", "global_local")


def global_similarity(image: Tensor, text: Tensor) -> Tensor:
    """``S_g(c) = sim(z^g, t_c)``, cosine: [B, D], [C, D] (or [B, C, D], each image's own) -> [B, C]."""
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    return image @ text.T if text.dim() == 2 else (text @ image[..., None]).squeeze(-1)


def sparse_local_similarity(patches: Tensor, text: Tensor, k: int) -> Tensor:
    """``S_l(c) = 1/k sum_{i in top-k_c} sim(z_i, t_c)``; each class picks its own patches.

    Args:
        patches: [B, N, D].
        text: [C, D], or [B, C, D].
        k: number of patches averaged, 1 <= k <= N.

    Returns:
        [B, C]
    """
    similarity = F.normalize(patches, dim=-1) @ F.normalize(text, dim=-1).transpose(-1, -2)  # [B, N, C]
    return similarity.topk(k, dim=1).values.mean(dim=1)


def alignment(image: Tensor, patches: Tensor, text: Tensor, *, mode: str, k: int) -> Tensor:
    """Similarity [B, C] in one of three modes: ``global``, ``local``, or their sum ``global_local``."""
    if mode == "global":
        return global_similarity(image, text)
    local = sparse_local_similarity(patches, text, k)
    return local if mode == "local" else global_similarity(image, text) + local
