"""KgCoOp: Visual-Language Prompt Tuning with Knowledge-guided Context Optimization. CVPR 2023, arXiv 2303.13283.

Upstream: htyao89/KgCoOp, KgCoOp/trainers/kgcoop.py at c43ccc3; its W is 1 by default and 8 in its scripts. Deviations:
the words of CTX_INIT are used (upstream takes any value for "a photo of a"), the class name may stand elsewhere, the
teacher is encoded in float32 from TEMPLATE, and the adapter, bias and meta-net that never learn are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from mpafer.clip import Clip
from mpafer.common.options import option
from mpafer.prompting.losses import cosine_distance
from mpafer.prompting.model import Output
from mpafer.prompting.teachers import EXPRESSION, template_features
from mpafer.trainers.base import Case, PromptTrainer, register_method
from mpafer.trainers.coop import CoOpModel, CoOpOptions


@dataclass(frozen=True)
class KgCoOpOptions(CoOpOptions):
    """``TRAINER.COOP`` and two more."""

    w: float = option(1.0, least=0)  # weight of the distance to the teacher
    template: str = EXPRESSION + "."  # the teacher's sentence; {name} is the class


class KgCoOpModel(CoOpModel):
    """CoOp whose class features are held to those of a hand-written sentence."""

    teacher: Tensor

    def __init__(self, clip: Clip, classnames: Sequence[str], options: KgCoOpOptions) -> None:
        super().__init__(clip, classnames, options)
        self.w = options.w
        self.register_buffer("teacher", template_features(clip, classnames, [options.template]), persistent=False)

    def losses(self, out: Output, labels: Tensor) -> dict[str, Tensor]:
        """``L = L_ce + w mean_c (1 - sim(t_c, teacher_c))``."""
        distance = cosine_distance(out.text, F.normalize(self.teacher, dim=-1))
        return super().losses(out, labels) | {"knowledge_loss": self.w * distance}


@register_method
class KgCoOp(PromptTrainer):
    """Trains `KgCoOpModel`."""

    node = "COOP"
    Options = KgCoOpOptions
    Model = KgCoOpModel
    per_class = "CSC"
    case = Case({"ctx_init": "a photo"})
