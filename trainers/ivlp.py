"""IVLP: independent vision-language prompting, the baseline of MaPLe (CVPR 2023, arXiv 2210.03117).

Upstream: muzairkhattak/multimodal-prompt-learning, trainers/independentVL.py and clip/model.py at 69bce21. As there,
N_CTX_TEXT below CTX_INIT's number of tokens leaves the others as fixed text ("of a" with 2), and with more than four
vectors CTX_INIT is not used (a warning says so). Deviation: prompts are not rounded to float16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpafer.clip import Clip
from mpafer.common.options import Options, option
from mpafer.prompting.model import PromptedClip
from mpafer.prompting.precision import PRECISIONS
from mpafer.prompting.text import MAX_CONTEXT, ContextPrompts, DeepTextPrompts, short_init
from mpafer.prompting.visual import MAX_VISUAL, DeepVisualPrompts
from mpafer.trainers.base import Case, PromptTrainer, register_method


@dataclass(frozen=True)
class IVLPOptions(Options):
    """``TRAINER.IVLP``."""

    n_ctx_vision: int = option(2, least=1, most=MAX_VISUAL)  # visual prompts a layer
    n_ctx_text: int = option(2, least=1, most=MAX_CONTEXT)  # context vectors a layer
    ctx_init: str = "a photo of a"  # words the first layer's context starts from
    prompt_depth_vision: int = option(9, least=0)  # prompted vision layers from PROMPT_FIRST_VISION on; 0 = none
    prompt_first_vision: int = option(1, least=1)  # the first prompted vision layer; upstream's is 1
    prompt_depth_text: int = option(9, least=1)  # prompted text layers from the first
    prec: str = option("fp32", choices=PRECISIONS)


class IVLPModel(PromptedClip):
    """Deep prompts in both towers, learned independently of each other."""

    def __init__(self, clip: Clip, classnames: Sequence[str], options: IVLPOptions) -> None:
        n, depth = options.n_ctx_text, options.prompt_depth_text
        deep = DeepTextPrompts(clip, n=n, depth=depth) if depth > 1 else None
        text = ContextPrompts(clip, classnames, n_ctx=n, ctx_init=short_init(n, options.ctx_init), partial=True)
        visual = None
        if depth := options.prompt_depth_vision:
            visual = DeepVisualPrompts(
                clip, n=options.n_ctx_vision, depth=depth, first=options.prompt_first_vision,
                in_sequence=True, key="PROMPT_DEPTH_VISION",
            )  # fmt: skip
        super().__init__(clip, classnames, text=text, deep_text=deep, visual=visual, precision=options.prec)


@register_method
class IVLP(PromptTrainer):
    """Trains `IVLPModel`."""

    node = "IVLP"
    Options = IVLPOptions
    Model = IVLPModel
    per_class = False
    case = Case({"prompt_depth_text": 1}, too_deep=("prompt_depth_text", 3))
