"""VPT: Visual Prompt Tuning, ECCV 2022, arXiv 2203.12119, on CLIP as MaPLe's authors compare it.

Upstream: muzairkhattak/multimodal-prompt-learning, trainers/vpt.py and clip/model.py at 69bce21. Deviations: the
sentence is CTX_INIT's (upstream has the key, but "a photo of a" in the code); prompts are not rounded to float16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpafer.clip import Clip
from mpafer.common.options import Options, option
from mpafer.prompting.fixed import FixedPrompts
from mpafer.prompting.model import PromptedClip
from mpafer.prompting.precision import PRECISIONS
from mpafer.prompting.teachers import fill
from mpafer.prompting.visual import MAX_VISUAL, DeepVisualPrompts
from mpafer.trainers.base import Case, PromptTrainer, register_method


@dataclass(frozen=True)
class VPTOptions(Options):
    """``TRAINER.VPT``."""

    n_ctx_vision: int = option(2, least=1, most=MAX_VISUAL)  # visual prompts a layer
    ctx_init: str = "a photo of a"  # fixed words before the class name
    prompt_depth_vision: int = option(1, least=1)  # prompted layers from PROMPT_FIRST_VISION on
    prompt_first_vision: int = option(1, least=1)  # the first prompted layer; upstream's is 1
    prec: str = option("fp32", choices=PRECISIONS)


class VPTModel(PromptedClip):
    """One fixed sentence a class, learned prompts in the image's sequence."""

    def __init__(self, clip: Clip, classnames: Sequence[str], options: VPTOptions) -> None:
        text = FixedPrompts(clip, fill(f"{options.ctx_init} {{name}}.", classnames))
        visual = DeepVisualPrompts(
            clip, n=options.n_ctx_vision, depth=options.prompt_depth_vision, first=options.prompt_first_vision,
            in_sequence=True, key="PROMPT_DEPTH_VISION",
        )  # fmt: skip
        super().__init__(clip, classnames, text=text, visual=visual, precision=options.prec)


@register_method
class VPT(PromptTrainer):
    """Trains `VPTModel`."""

    node = "VPT"
    Options = VPTOptions
    Model = VPTModel
    per_class = False
    case = Case({"prompt_depth_vision": 1}, too_deep=("prompt_depth_vision", 5))
