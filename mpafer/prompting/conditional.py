"""Text prompts that depend on the image (CoCoOp)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from mpafer.clip import Clip
from mpafer.prompting.text import ContextPrompts


class ConditionalPrompts(ContextPrompts):
    """``v_m(x) = v_m + pi(x)``: a small network turns the image's unit feature into a shift of all context vectors.

    Its arguments are some of those of `ContextPrompts`.
    """

    conditional = True

    def __init__(self, clip: Clip, classnames: Sequence[str], *, n_ctx: int, ctx_init: str = "") -> None:
        super().__init__(clip, classnames, n_ctx=n_ctx, ctx_init=ctx_init)
        dim = clip.embed_dim
        layers = OrderedDict(
            linear1=nn.Linear(dim, dim // 16), relu=nn.ReLU(), linear2=nn.Linear(dim // 16, clip.text.width)
        )
        self.meta_net = nn.Sequential(layers).to(clip.device)

    def forward(self, image: Tensor | None = None) -> Tensor:
        """Global features [B, D] -> token embeddings [B, C, L, W]."""
        assert image is not None
        return super().forward(self.meta_net(F.normalize(image.float(), dim=-1)))
