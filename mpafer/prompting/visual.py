"""Deep visual prompts: learnable tokens beside the image's own, fresh at every layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mpafer.clip import Clip


class DeepVisualPrompts(nn.Module):
    """``[z^l, _] = layer_l([z^(l-1), p^l])``: N_p tokens join each layer's input, their outputs are dropped.

    Args:
        clip: frozen backbone, for width and number of layers.
        n: N_p, prompts a layer, drawn from N(0, 0.02^2).
        depth: how many layers from the first get prompts; 0 = all.
    """

    def __init__(self, clip: Clip, *, n: int = 8, depth: int = 0) -> None:
        super().__init__()
        layers = clip.visual.layers
        if not 0 <= depth <= layers:
            raise ValueError(f"VISUAL_DEPTH is {depth}, but {clip.name} has {layers} vision layers (0 = all)")
        self.prompts = nn.Parameter(
            torch.empty(depth or layers, n, clip.visual.width, device=clip.device).normal_(std=0.02)
        )

    def forward(self) -> tuple[Tensor, ...]:
        """One [N_p, W] tensor for each prompted layer."""
        return self.prompts.unbind()
