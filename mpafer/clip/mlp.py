"""The two linear layers of a block, and the activation between them.

Shapes: B images or texts, L tokens, W width of a tower, M width between the layers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mpafer.clip.sizes import GELU, QUICKGELU

GELU_SLOPE = 1.702  # of OpenAI's approximation of GELU, x * sigmoid(1.702 x)


class MLP(nn.Module):
    """Two linear layers with an activation between them: W -> M -> W.

    ``QuickGELU(x) = x * sigmoid(1.702 x)`` is computed as ``silu(1.702 x) / 1.702``: the matrix products apply both
    factors, so the activation is one pass over the widest tensor, and the backward keeps one tensor instead of two.

    Args:
        width: W.
        hidden: M; 0 = 4 W.
        activation: ``quickgelu``, or ``gelu``: the exact one, of open_clip's own models.
    """

    def __init__(self, width: int, hidden: int = 0, activation: str = QUICKGELU) -> None:
        super().__init__()
        hidden = hidden or 4 * width
        self.c_fc, self.c_proj = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """[B, L, W] -> [B, L, W]."""
        first, last = self.c_fc, self.c_proj
        if self.activation == GELU:
            return last(F.gelu(first(x)))
        hidden = torch.addmm(first.bias, x.flatten(0, -2), first.weight.T, beta=GELU_SLOPE, alpha=GELU_SLOPE)
        out = torch.addmm(last.bias, F.silu(hidden), last.weight.T, alpha=1 / GELU_SLOPE)
        return out.unflatten(0, x.shape[:-1])
