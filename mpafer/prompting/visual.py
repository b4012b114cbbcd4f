"""Deep visual prompts: learnable tokens of each prompted layer, in the image's sequence or at its side."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mpafer.clip import Clip
from mpafer.common.errors import OptionError

MAX_VISUAL = 1024  # prompts a layer; an image has 256 patches at most


class DeepVisualPrompts(nn.Module):
    """``[z^l, _] = layer_l([z^(l-1), p^l])``: N_p tokens join each layer's input, their outputs are dropped.

    Args:
        clip: frozen backbone, for width and number of layers.
        n: N_p, prompts a layer, drawn from N(0, 0.02^2).
        depth: how many layers from the first get prompts; 0 = all.
        in_sequence: the prompts are part of the sequence (VPT, IVLP), see `VisionTower.forward`.
        key: the option that ``depth`` comes from, for the error.

    Raises:
        OptionError: more layers than the vision tower has.
    """

    def __init__(
        self, clip: Clip, *, n: int = 8, depth: int = 0, in_sequence: bool = False, key: str = "VISUAL_DEPTH"
    ) -> None:
        super().__init__()
        check_depth(key, depth, clip, clip.visual.layers)
        self.in_sequence = in_sequence
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

    Raises:
        OptionError: more layers than the vision tower has.
    """

    in_sequence = True

    def __init__(self, clip: Clip, *, depth: int) -> None:
        super().__init__()
        check_depth("PROMPT_DEPTH", depth, clip, clip.visual.layers)
        first, deeper = (nn.Linear(clip.text.width, clip.visual.width, device=clip.device) for _ in range(2))
        self.projections = nn.ModuleList([first, *(copy.deepcopy(deeper) for _ in range(depth - 1))])

    def forward(self, text: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Text prompts [P, W_t] of each prompted layer -> visual prompts [P, W_v] of each."""
        return tuple(project(prompts) for project, prompts in zip(self.projections, text, strict=True))


def check_depth(key: str, depth: int, clip: Clip, layers: int) -> None:
    """Raise OptionError where option ``key`` asks for prompts in more than the ``layers`` of a tower."""
    if depth > layers:
        raise OptionError(f"{key} is {depth}, but {clip.name} has {layers} layers there")
