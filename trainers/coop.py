"""CoOp: Learning to Prompt for Vision-Language Models. IJCV 2022, arXiv 2109.01134.

Upstream: KaiyangZhou/CoOp, trainers/coop.py at ff61507. Deviations: CTX_INIT counts tokens, not words (a word of two
tokens learns both), and CSC holds with CTX_INIT too (upstream then learns one context for all classes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpafer.clip import Clip
from mpafer.common.options import Options, option
from mpafer.prompting.model import PromptedClip
from mpafer.prompting.precision import PRECISIONS
from mpafer.prompting.text import MAX_CONTEXT, POSITIONS, ContextPrompts
from mpafer.trainers.base import Case, PromptTrainer, register_method


@dataclass(frozen=True)
class CoOpOptions(Options):
    """``TRAINER.COOP``."""

    n_ctx: int = option(16, least=1, most=MAX_CONTEXT)  # context vectors
    csc: bool = False  # class-specific context
    ctx_init: str = ""  # words the context starts from; their number of tokens is N_CTX then
    class_token_position: str = option("end", choices=POSITIONS)
    prec: str = option("fp32", choices=PRECISIONS)


class CoOpModel(PromptedClip):
    """Context vectors around the class name; cosine similarity with the frozen image feature."""

    def __init__(self, clip: Clip, classnames: Sequence[str], options: CoOpOptions) -> None:
        super().__init__(
            clip,
            classnames,
            text=ContextPrompts(
                clip, classnames, n_ctx=options.n_ctx, csc=options.csc, ctx_init=options.ctx_init,
                position=options.class_token_position,
            ),
            precision=options.prec,
        )  # fmt: skip


@register_method
class CoOp(PromptTrainer):
    """Trains `CoOpModel`."""

    node = "COOP"
    Options = CoOpOptions
    Model = CoOpModel
    per_class = "CSC"
    case = Case({"n_ctx": 3})
