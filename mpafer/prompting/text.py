"""Soft text prompts: learnable context vectors in front of a class name."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mpafer.clip import Clip
from mpafer.clip.tokens import CONTEXT_LENGTH, eot_positions


class ContextPrompts(nn.Module):
    """``[SOS] v_1 ... v_M  <class name> . [EOS]`` for every class (CoOp's form, class token at the end).

    Args:
        clip: frozen backbone, for its tokens and token embeddings.
        classnames: C names; underscores read as spaces.
        n_ctx: M, the number of context vectors, drawn from N(0, 0.02^2); ignored with ``ctx_init``.
        csc: class-specific context, [C, M, W] instead of [M, W].
        ctx_init: words whose embeddings start the context; their number of tokens is M.

    Raises:
        ValueError: no context vector, or a prompt longer than 77 tokens (the class is named).
    """

    prefix: Tensor  # SOS, [C, 1, W]
    suffix: Tensor  # class name, period, EOS, padding: [C, L - 1, W]
    eot: Tensor  # position of EOS in the whole prompt, [C]

    def __init__(
        self, clip: Clip, classnames: Sequence[str], *, n_ctx: int = 10, csc: bool = False, ctx_init: str = ""
    ) -> None:
        super().__init__()
        names = [name.replace("_", " ") for name in classnames]
        tokens = clip.tokenize([f"{name}." for name in names])
        with torch.no_grad():
            embeddings = clip.text.embed(tokens).float()
            context = _initial_context(clip, n_ctx, ctx_init)
        length = eot_positions(tokens) + len(context) + 1
        for name, tokens_needed in zip(names, length.tolist(), strict=True):
            if tokens_needed > CONTEXT_LENGTH:
                raise ValueError(
                    f"the soft prompt of class {name!r} takes {tokens_needed} tokens, CLIP {CONTEXT_LENGTH} at most: "
                    f"lower N_CTX ({len(context)}) or shorten the name"
                )
        self.ctx = nn.Parameter(context.expand(len(names), -1, -1).clone() if csc else context)
        longest = int(length.max()) - len(context)
        self.register_buffer("prefix", embeddings[:, :1], persistent=False)  # classes may change after training
        self.register_buffer("suffix", embeddings[:, 1:longest], persistent=False)
        self.register_buffer("eot", length - 1, persistent=False)

    def forward(self) -> Tensor:
        """Token embeddings of all prompts [C, L, W], cut after the longest one's EOS."""
        return torch.cat([self.prefix, self.ctx.expand(len(self.prefix), -1, -1), self.suffix], dim=1)


def _initial_context(clip: Clip, n_ctx: int, ctx_init: str) -> Tensor:
    if ctx_init:
        tokens = clip.tokenize([ctx_init.replace("_", " ")])
        return clip.text.embed(tokens[0, 1 : int(eot_positions(tokens))]).float().clone()
    if n_ctx < 1:
        raise ValueError(f"N_CTX is {n_ctx}: a soft prompt needs at least one context vector")
    return torch.empty(n_ctx, clip.text.width, device=clip.device).normal_(std=0.02)


def pool_tokens(embeddings: Tensor, eot: Tensor) -> Tensor:
    """Mean of each prompt's real tokens, those between SOS and EOS: [C, L, W], [C] -> [C, W]."""
    position = torch.arange(embeddings.shape[1], device=embeddings.device)
    real = ((position > 0) & (position < eot[:, None])).to(embeddings.dtype)[..., None]
    return (embeddings * real).sum(dim=1) / real.sum(dim=1)
