"""Zero-shot CLIP: Learning Transferable Visual Models From Natural Language Supervision. ICML 2021, arXiv 2103.00020.

As CoOp's trainer of the same name: one sentence a class, nothing learns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpafer.clip import Clip
from mpafer.options import Options, option
from mpafer.prompting.fixed import FixedPrompts
from mpafer.prompting.model import PromptedClip
from mpafer.prompting.precision import PRECISIONS
from mpafer.prompting.teachers import EXPRESSION
from mpafer.trainers.base import PromptTrainer, register


@dataclass(frozen=True)
class ZeroshotCLIPOptions(Options):
    """``TRAINER.ZEROSHOTCLIP``."""

    template: str = EXPRESSION + "."  # {name} is the class
    prec: str = option("fp32", choices=PRECISIONS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if "{name}" not in self.template:
            raise ValueError(f"TEMPLATE is {self.template!r}: it needs {{name}} where the class name goes")


class ZeroshotCLIPModel(PromptedClip):
    """Cosine similarity of the image with one sentence a class."""

    def __init__(self, clip: Clip, classnames: Sequence[str], options: ZeroshotCLIPOptions) -> None:
        sentences = [options.template.format(name=name.replace("_", " ")) for name in classnames]
        super().__init__(clip, classnames, text=FixedPrompts(clip, sentences), precision=options.prec)


@register
class ZeroshotCLIP(PromptTrainer):
    """Evaluates `ZeroshotCLIPModel`."""

    node = "ZEROSHOTCLIP"
    Options = ZeroshotCLIPOptions
    Model = ZeroshotCLIPModel
