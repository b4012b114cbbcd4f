"""Deep visual prompts: learnable tokens beside the image's own or among them, fresh at every prompted layer."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mpafer.clip import Clip


class DeepVisualPrompts(nn.Module):
    """``[z^l, _] = layer_l([z^(l-1), p^l])``: N_p tokens join each layer's input, their outputs are dropped.

    Args:
        clip: frozen backbone, for width and number of layers.
        n: N_p, prompts a layer, drawn from N(0, 0.02^2).
        depth: how many layers from the first get prompts; 0 = all.
        carried: the last layer's prompts stay in the sequence, and the first ones go through ``ln_pre`` (VPT, IVLP).
        key: the option that ``depth`` comes from, for the error.
    """

    def __init__(
        self, clip: Clip, *, n: int = 8, depth: int = 0, carried: bool = False, key: str = "VISUAL_DEPTH"
    ) -> None:
        super().__init__()
        check_depth(key, depth, clip, clip.visual.layers)
        self.carried = carried
        layers = depth or clip.visual.layers
        self.prompts = nn.Parameter(torch.empty(layers, n, clip.visual.width, device=clip.device).normal_(std=0.02))

    def forward(self) -> tuple[Tensor, ...]:
        """One [N_p, W] tensor for each prompted layer."""
        return self.prompts.unbind()


class CoupledVisualPrompts(nn.Module):
    """Visual prompts that are linear images of the text prompts, one map a layer (MaPLe).

    Args:
        clip: frozen backbone.
        depth: prompted layers. As upstream, all maps but the first start equal.
    """

    carried = True

    def __init__(self, clip: Clip, *, depth: int) -> None:
        super().__init__()
        check_depth("PROMPT_DEPTH", depth, clip, clip.visual.layers)
        first, deeper = (nn.Linear(clip.text.width, clip.visual.width, device=clip.device) for _ in range(2))
        self.projections = nn.ModuleList([first, *(copy.deepcopy(deeper) for _ in range(depth - 1))])

    def forward(self, text: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Text prompts [P, W_t] of each prompted layer -> visual prompts [P, W_v] of each."""
        return tuple(project(prompts) for project, prompts in zip(self.projections, text, strict=True))


def check_depth(key: str, depth: int, clip: Clip, layers: int) -> None:
    """Raises ValueError where an option asks for prompts in more layers than a tower has."""
    if depth > layers:
        raise ValueError(f"{key} is {depth}, but {clip.name} has {layers} layers there")
