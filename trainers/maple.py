"""MaPLe: Multi-modal Prompt Learning. CVPR 2023, arXiv 2210.03117.

Upstream: muzairkhattak/multimodal-prompt-learning, trainers/maple.py and clip/model.py at 69bce21. As there,
PROMPT_DEPTH J means J - 1 deep prompts (the first layer's stand among the embeddings), N_CTX below CTX_INIT's number of
tokens leaves the others as fixed text, more than four vectors leave CTX_INIT unused (a warning says so), and the deep
projections start as copies of one. Deviations: any tower width (upstream has 512 and 768 in the code), and nothing of
the prompts or their projections is rounded to float16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from mpafer.clip import Clip
from mpafer.common.options import Options, option
from mpafer.prompting.model import PromptedClip
from mpafer.prompting.precision import PRECISIONS
from mpafer.prompting.text import MAX_CONTEXT, ContextPrompts, DeepTextPrompts, short_init
from mpafer.prompting.visual import CoupledVisualPrompts
from mpafer.trainers.base import Case, PromptTrainer, register_method


@dataclass(frozen=True)
class MaPLeOptions(Options):
    """``TRAINER.MAPLE``."""

    n_ctx: int = option(2, least=1, most=MAX_CONTEXT)  # prompts a layer, in both towers
    ctx_init: str = "a photo of a"  # words the first layer's context starts from
    prompt_depth: int = option(9, least=1)  # J: prompted layers of both towers, from the first
    prec: str = option("fp32", choices=PRECISIONS)


class MaPLeModel(PromptedClip):
    """Deep text prompts, and visual prompts projected from them."""

    def __init__(self, clip: Clip, classnames: Sequence[str], options: MaPLeOptions) -> None:
        n, depth = options.n_ctx, options.prompt_depth
        init = short_init(n, options.ctx_init)
        super().__init__(
            clip,
            classnames,
            text=ContextPrompts(clip, classnames, n_ctx=n, ctx_init=init, partial=True),
            deep_text=DeepTextPrompts(clip, n=n, depth=depth, key="PROMPT_DEPTH") if depth > 1 else None,
            visual=CoupledVisualPrompts(clip, depth=depth),
            precision=options.prec,
        )

    def visual_prompts(self) -> Sequence[Tensor]:
        """Every layer's text prompts [P, W_t], projected to [P, W_v]."""
        deep = self.prompts["deep_text"]() if "deep_text" in self.prompts else ()
        return self.prompts["visual"]([self.prompts["text"].ctx, *deep])


@register_method
class MaPLe(PromptTrainer):
    """Trains `MaPLeModel`."""

    node = "MAPLE"
    Options = MaPLeOptions
    Model = MaPLeModel
    per_class = False
    case = Case({"prompt_depth": 1}, too_deep=("prompt_depth", 3))
