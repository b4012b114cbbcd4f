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
        depth: how many layers get prompts; 0 = all from ``first`` on.
        first: the first layer that gets prompts, from 1.
        in_sequence: the prompts are part of the sequence (VPT, IVLP), see `VisionTower.forward`.
        key: the option that ``depth`` comes from, for the error; that of ``first`` has FIRST for DEPTH.

    Raises:
        OptionError: more layers than the vision tower has.
    """

    def __init__(
        self,
        clip: Clip,
        *,
        n: int = 8,
        depth: int = 0,
        first: int = 1,
        in_sequence: bool = False,
        key: str = "VISUAL_DEPTH",
    ) -> None:
        super().__init__()
        first_key = key.replace("DEPTH", "FIRST")
        check_depth(first_key, first, clip, clip.visual.layers)
        after = f" from layer {first} on ({first_key})" if first > 1 else " there"
        check_depth(key, depth, clip, clip.visual.layers + 1 - first, after)
        self.in_sequence, self.first = in_sequence, first
        layers = depth or clip.visual.layers + 1 - first
        self.prompts = nn.Parameter(torch.empty(layers, n, clip.visual.width, device=clip.device).normal_(std=0.02))

    def forward(self) -> tuple[Tensor | None, ...]:
        """One [N_p, W] tensor for each prompted layer, None for each layer before them."""
        return (None,) * (self.first - 1) + self.prompts.unbind()


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


def check_depth(key: str, depth: int, clip: Clip, layers: int, where: str = " there") -> None:
    """Raise OptionError where option ``key`` asks for more than the ``layers`` that a tower has ``where``."""
    if depth > layers:
        raise OptionError(f"{key} is {depth}, but {clip.name} has {layers} layers{where}")
