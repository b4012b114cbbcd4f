"""CoCoOp: Conditional Prompt Learning for Vision-Language Models. CVPR 2022, arXiv 2203.05557.

Upstream: KaiyangZhou/CoOp, trainers/cocoop.py at ff61507. Deviations: the class prompts of all images of a batch are
encoded together (upstream loops over images), CTX_INIT counts tokens, and the meta-net is float32 in every precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpafer.clip import Clip
from mpafer.common.options import Options, option
from mpafer.prompting.conditional import ConditionalPrompts
from mpafer.prompting.model import PromptedClip
from mpafer.prompting.precision import PRECISIONS
from mpafer.prompting.text import MAX_CONTEXT
from mpafer.trainers.base import Case, PromptTrainer, register_method


@dataclass(frozen=True)
class CoCoOpOptions(Options):
    """``TRAINER.COCOOP``."""

    n_ctx: int = option(16, least=1, most=MAX_CONTEXT)  # context vectors
    ctx_init: str = ""  # words the context starts from; their number of tokens is N_CTX then
    prec: str = option("fp32", choices=PRECISIONS)


class CoCoOpModel(PromptedClip):
    """Context vectors that a small network shifts by the image's feature."""

    def __init__(self, clip: Clip, classnames: Sequence[str], options: CoCoOpOptions) -> None:
        prompts = ConditionalPrompts(clip, classnames, n_ctx=options.n_ctx, ctx_init=options.ctx_init)
        super().__init__(clip, classnames, text=prompts, precision=options.prec)


@register_method
class CoCoOp(PromptTrainer):
    """Trains `CoCoOpModel`."""

    node = "COCOOP"
    Options = CoCoOpOptions
    Model = CoCoOpModel
    per_class = False
    case = Case({"ctx_init": "a photo"})
