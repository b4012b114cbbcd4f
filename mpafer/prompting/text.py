"""Soft text prompts: learnable context vectors around a class name, and others for the deeper layers."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mpafer.clip import Clip
from mpafer.clip.tokens import CONTEXT_LENGTH, eot_positions
from mpafer.common.errors import OptionError
from mpafer.prompting.visual import check_depth

logger = logging.getLogger(__name__)
MAX_CONTEXT = CONTEXT_LENGTH - 3  # vectors: start, a class name and end take a token each
POSITIONS = ("end", "middle", "front")  # of the class name, as CoOp calls them
POOLINGS = ("mean", "max")  # of a prompt's tokens


class ContextPrompts(nn.Module):
    """``[SOS] v_1 ... v_M  <class name> . [EOS]`` for every class (CoOp's form).

    Args:
        clip: frozen backbone, for its tokens and token embeddings.
        classnames: C names; underscores read as spaces.
        n_ctx: M, the number of context vectors, drawn from N(0, 0.02^2); ignored with ``ctx_init``.
        csc: class-specific context, [C, M, W] instead of [M, W].
        ctx_init: words whose embeddings start the context; their number of tokens is M.
        partial: with ``ctx_init``, only its first ``n_ctx`` tokens learn, the others stay as fixed text before the
            name (MaPLe's family).
        position: where the class name stands: at the ``end`` of the context, in its ``middle`` or in ``front`` of it.

    Raises:
        OptionError: no context vector, more of them than ``ctx_init`` has tokens, or a prompt longer than 77 tokens
            (the class is named).
    """

    prefix: Tensor  # SOS, [C, 1, W]
    suffix: Tensor  # class name, period, EOS, padding: [C, L - 1 - M, W]
    eot: Tensor  # position of EOS in the whole prompt, [C]
    order: Tensor | None  # where each token of the whole prompt comes from, [C, L]
    conditional = False  # one set of prompts for all images

    def __init__(
        self,
        clip: Clip,
        classnames: Sequence[str],
        *,
        n_ctx: int = 10,
        csc: bool = False,
        ctx_init: str = "",
        partial: bool = False,
        position: str = "end",
    ) -> None:
        super().__init__()
        names = [name.replace("_", " ") for name in classnames]
        words = ctx_init.replace("_", " ")
        tokens = clip.tokenize([f"{words} {name}." for name in names])
        context = _initial_context(clip, n_ctx if partial or not words else 0, words)
        known = len(context) if words else 0  # context tokens that stand in `tokens` already
        length = eot_positions(tokens) + len(context) - known + 1
        for name, needed in zip(names, length.tolist(), strict=True):
            if needed > CONTEXT_LENGTH:
                raise OptionError(
                    f"the soft prompt of class {name!r} takes {needed} tokens, CLIP {CONTEXT_LENGTH} at most: "
                    f"lower N_CTX ({len(context)}) or shorten the name"
                )
        with torch.no_grad():
            embeddings = clip.text.embed(tokens).float()
        self.ctx = nn.Parameter(context.expand(len(names), -1, -1).clone() if csc else context)
        last = int(length.max()) - len(context) + known
        self.register_buffer("prefix", embeddings[:, :1], persistent=False)  # classes may change after training
        self.register_buffer("suffix", embeddings[:, 1 + known : last], persistent=False)
        self.register_buffer("eot", length - 1, persistent=False)
        order = None if position == "end" else _order(clip, names, len(context), int(length.max()), position)
        self.register_buffer("order", order, persistent=False)

    def forward(self, shift: Tensor | None = None) -> Tensor:
        """Token embeddings of all prompts, cut after the longest one's EOS.

        Args:
            shift: [B, W], added to all context vectors of an image; None = none.

        Returns:
            [C, L, W], or [B, C, L, W] with a shift.
        """
        ctx = self.ctx.expand(len(self.prefix), -1, -1)
        if shift is not None:
            ctx = ctx + shift[:, None, None]
        batch = ctx.shape[:-3]
        whole = torch.cat([self.prefix.expand(*batch, -1, -1, -1), ctx, self.suffix.expand(*batch, -1, -1, -1)], dim=-2)
        if self.order is None:
            return whole
        return whole[..., torch.arange(len(self.order), device=whole.device)[:, None], self.order, :]


class DeepTextPrompts(nn.Module):
    """Context vectors of the layers after the first, drawn from N(0, 0.02^2) (IVLP, MaPLe).

    Args:
        clip: frozen backbone.
        n: vectors a layer.
        depth: J, prompted layers; the first one's prompts are among the embeddings, so these are J - 1.
        key: the option that ``depth`` comes from, for the error.

    Raises:
        OptionError: more layers than the text tower has.
    """

    def __init__(self, clip: Clip, *, n: int, depth: int, key: str = "PROMPT_DEPTH_TEXT") -> None:
        super().__init__()
        check_depth(key, depth, clip, clip.text.layers)
        self.prompts = nn.Parameter(torch.empty(depth - 1, n, clip.text.width, device=clip.device).normal_(std=0.02))

    def forward(self) -> tuple[Tensor, ...]:
        """One [n, W] tensor for each prompted layer but the first."""
        return self.prompts.unbind()


def short_init(n_ctx: int, ctx_init: str) -> str:
    """MaPLe's rule, kept by IVLP and PromptSRC: initial words for at most four vectors, none for more."""
    if ctx_init and n_ctx > 4:
        logger.warning("CTX_INIT %r is not used: as upstream, more than 4 context vectors start at random", ctx_init)
        return ""
    return ctx_init


def _initial_context(clip: Clip, n_ctx: int, words: str) -> Tensor:
    if words:
        tokens = clip.tokenize([words])
        found = int(eot_positions(tokens)) - 1
        if n_ctx > found:
            raise OptionError(f"N_CTX is {n_ctx}, but CTX_INIT {words!r} has {found} tokens")
        return clip.text.embed(tokens[0, 1 : 1 + (n_ctx or found)]).float().clone()
    if n_ctx < 1:
        raise OptionError(f"N_CTX is {n_ctx}: a soft prompt needs at least one context vector")
    return torch.empty(n_ctx, clip.text.width, device=clip.device).normal_(std=0.02)


def _order(clip: Clip, names: Sequence[str], n_ctx: int, length: int, position: str) -> Tensor:
    """Order of the tokens of ``SOS context name rest`` for ``position``, as indices for each class: [C, length]."""
    before = 0 if position == "front" else n_ctx // 2
    rows = []
    for size in (eot_positions(clip.tokenize(names)) - 1).tolist():
        name = range(1 + n_ctx, 1 + n_ctx + size)
        first, second = range(1, 1 + before), range(1 + before, 1 + n_ctx)
        rows.append([0, *first, *name, *second, *range(1 + n_ctx + size, length)])
    return torch.tensor(rows, device=clip.device)


def pool_tokens(embeddings: Tensor, eot: Tensor, how: str = "mean") -> Tensor:
    """Mean or maximum of each prompt's real tokens, those between SOS and EOS: [C, L, W], [C] -> [C, W]."""
    position = torch.arange(embeddings.shape[1], device=embeddings.device)
    real = ((position > 0) & (position < eot[:, None]))[..., None]
    if how == "max":
        return embeddings.masked_fill(~real, -torch.inf).amax(dim=1)
    return (embeddings * real).sum(dim=1) / real.sum(dim=1)
