"""Blocks of CLIP's transformers, batch first. Written for speed: benchmarks/NOTES.md says what each measure gains.

Shapes: B images or texts, L tokens, P prompts, W width of a tower.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mpafer.clip.mlp import MLP
from mpafer.clip.sizes import OPENAI, BlockSizes


class LayerNorm(nn.LayerNorm):
    """Layer norm computed in float32 whatever the input's precision, as in OpenAI's CLIP."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu":  # the CPU's kernel itself computes in float32; CUDA's wants weights of x's type
            return super().forward(x)
        return super().forward(x.float()).to(x.dtype)


def project_out(x: Tensor, norm: nn.Module, projection: Tensor) -> Tensor:
    """A tower's last step, ``norm(x) @ projection``: [..., W], [W, D] -> features [..., D].

    It is float32 in all precisions, because features are compared by small angles.
    """
    with torch.autocast(x.device.type, enabled=False):
        return norm(x.float()) @ projection


class _Attend(torch.autograd.Function):
    """Attention whose backward is matrix products: torch's own backward is slow for bfloat16 on a CPU."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.causal = causal
        return F.scaled_dot_product_attention(query, key, value, is_causal=causal)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value = ctx.saved_tensors
        with torch.enable_grad():
            query, key = inputs = query.detach().requires_grad_(), key.detach().requires_grad_()
            scores = query.shape[-1] ** -0.5 * query @ key.mT
            if ctx.causal:
                scores = scores + torch.full_like(scores[0, 0], -torch.inf).triu(1)
            weights = scores.softmax(dim=-1)
        return *torch.autograd.grad(weights, inputs, grad @ value.mT), weights.mT.detach() @ grad, None


def attend(query: Tensor, key: Tensor, value: Tensor, causal: bool = False) -> Tensor:
    """Softmax attention: query [B, heads, L, W / heads], key and value [B, heads, L + P, W / heads] -> as the query."""
    if query.dtype == torch.bfloat16 and query.device.type == "cpu":
        return _Attend.apply(query, key, value, causal)
    return F.scaled_dot_product_attention(query, key, value, is_causal=causal)


class Attention(nn.Module):
    """Multi-head self-attention whose keys and values may include extra tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(-3, -2)  # [..., L, W] -> [..., heads, L, W / heads]

    def forward(self, x: Tensor, extra: Tensor | None = None, causal: bool = False, rows: int | None = None) -> Tensor:
        """[B, L, W] -> [B, L, W], or [B, rows, W].

        Args:
            x: tokens; they attend to themselves and to ``extra``.
            extra: [P, W] for all of the batch, or [B, P, W]; None with ``causal``.
            causal: a token attends to itself and to those before it.
            rows: how many outputs are computed, from the first; None = all.
        """
        width, weight, bias = x.shape[-1], self.in_proj_weight, self.in_proj_bias
        if extra is None and rows is None:
            query, key, value = F.linear(x, weight, bias).chunk(3, dim=-1)
        else:
            query = F.linear(x[:, :rows], weight[:width], bias[:width])
            both = F.linear(x, weight[width:], bias[width:])  # [B, L, 2 W]
            if extra is not None:
                theirs = F.linear(extra, weight[width:], bias[width:]).expand(x.shape[0], -1, -1)
                both = torch.cat([both, theirs], dim=1)
            key, value = both.chunk(2, dim=-1)
        out = attend(self._heads(query), self._heads(key), self._heads(value), causal)
        return self.out_proj(out.transpose(-3, -2).flatten(-2))


class Block(nn.Module):
    """Pre-norm residual block."""

    def __init__(self, width: int, sizes: BlockSizes = OPENAI) -> None:
        super().__init__()
        self.attn = Attention(width, sizes.heads or width // 64)
        self.ln_1 = LayerNorm(width)
        self.mlp = MLP(width, sizes.hidden or 4 * width, sizes.activation)
        self.ln_2 = LayerNorm(width)

    def forward(
        self, x: Tensor, prompts: Tensor | None = None, causal: bool = False, rows: int | None = None
    ) -> Tensor:
        """``[x', _] = block([x, prompts])``: nothing uses the outputs at prompt positions, so they are not computed.

        Arguments and answer are those of `Attention.forward`; ``prompts`` [P, W] are its ``extra``, before the norm.
        """
        extra = None if prompts is None else self.ln_1(prompts)
        x = x[:, :rows] + self.attn(self.ln_1(x), extra, causal, rows)
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """A stack of blocks.

    Attributes:
        heads, activation: of every block.
        recompute: keep only each block's input for the backward, which computes the block again.
    """

    recompute = False

    def __init__(self, width: int, layers: int, sizes: BlockSizes = OPENAI) -> None:
        super().__init__()
        self.heads, self.activation = sizes.heads or width // 64, sizes.activation
        self.resblocks = nn.ModuleList(Block(width, sizes) for _ in range(layers))

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the blocks' matrices."""
        return next(self.parameters()).dtype

    def forward(
        self,
        x: Tensor,
        side_prompts: Sequence[Tensor | None] = (),
        replacing_prompts: Sequence[Tensor | None] = (),
        start: int = 0,
        causal: bool = False,
        rows: int | None = None,
    ) -> Tensor:
        """[B, L, W] -> [B, L, W], or [B, rows, W].

        Args:
            x: tokens.
            side_prompts: ``side_prompts[l]`` [P, W] joins the input of layer ``l``; its outputs are dropped. None: the
                layer has no prompts.
            replacing_prompts: ``replacing_prompts[l]`` [P, W] replaces the rows from ``start`` on, before layer
                ``l + 1``, or is joined to ``x`` where that has no such rows. None: nothing is replaced.
            start: first row that is replaced.
            causal: a token attends to itself and to those before it.
            rows: how many rows the last layer computes, from the first; None = all.

        Raises:
            ValueError: prompts for more layers than there are.
        """
        if max(len(side_prompts), len(replacing_prompts) + 1) > len(self.resblocks):
            raise ValueError(f"prompts for more than the tower's {len(self.resblocks)} layers")
        for layer, block in enumerate(self.resblocks):
            new = replacing_prompts[layer - 1] if 0 < layer <= len(replacing_prompts) else None
            if new is not None:
                prompts = new.to(x.dtype).expand(x.shape[0], -1, -1)
                x = torch.cat([x[:, :start], prompts, x[:, start + prompts.shape[1] :]], dim=1)
            extra = side_prompts[layer] if layer < len(side_prompts) else None
            extra = None if extra is None else extra.to(x.dtype)
            inputs = (x, extra, causal, rows if layer == len(self.resblocks) - 1 else None)
            again = self.recompute and torch.is_grad_enabled()
            x = checkpoint(block, *inputs, use_reentrant=False) if again else block(*inputs)
        return x
