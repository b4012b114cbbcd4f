"""PromptSRC: Self-regulating Prompts: Foundational Model Adaptation without Forgetting. ICCV 2023, arXiv 2307.06948.

Upstream: muzairkhattak/PromptSRC, trainers/promptsrc.py at bb95c77. As there, the teacher's text feature is the mean of
un-normalised features, and the KL term is divided by batch times classes. Deviations: the Gaussian average runs over
the learned prompts alone, in float32, and is kept in the checkpoints, so that a resumed run has it (upstream averages
all of CLIP in float16, and forgets it); all precisions have all terms; the sentences are an option.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from mpafer.clip import Clip
from mpafer.common.options import option
from mpafer.prompting.averaging import GaussianAverage
from mpafer.prompting.model import Output
from mpafer.prompting.precision import autocast
from mpafer.prompting.similarity import global_similarity
from mpafer.prompting.teachers import load_templates, template_features
from mpafer.prompting.text import MAX_CONTEXT
from mpafer.prompting.visual import MAX_VISUAL
from mpafer.trainers.base import Case, PromptTrainer, register_method
from mpafer.trainers.ivlp import IVLPModel, IVLPOptions


@dataclass(frozen=True)
class PromptSRCOptions(IVLPOptions):
    """``TRAINER.PROMPTSRC``."""

    n_ctx_vision: int = option(4, least=1, most=MAX_VISUAL)
    n_ctx_text: int = option(4, least=1, most=MAX_CONTEXT)
    text_loss_weight: float = option(25.0, least=0)
    image_loss_weight: float = option(10.0, least=0)
    gpa_mean: float = 15.0  # epoch that weighs most in the average, from 1
    gpa_std: float = option(1.0, least=1e-3)  # standard deviation of the weights, in epochs
    templates: str = "imagenet"  # the teacher's sentences, a set in templates.yaml


class PromptSRCModel(IVLPModel):
    """IVLP held to the frozen CLIP in its text features, its image features and its logits."""

    teacher: Tensor

    def __init__(self, clip: Clip, classnames: Sequence[str], options: PromptSRCOptions) -> None:
        super().__init__(clip, classnames, options)
        self.text_weight, self.image_weight = options.text_loss_weight, options.image_loss_weight
        teacher = template_features(clip, classnames, load_templates(options.templates), unit=False)
        self.register_buffer("teacher", F.normalize(teacher, dim=-1), persistent=False)

    def forward(self, images: Tensor) -> Output:
        """As `PromptedClip`; in training mode with the frozen image features too."""
        out = super().forward(images)
        if self.training:
            with autocast(self.precision, images.device):
                out.frozen_image = self.clip.encode_image(images)
        return out

    def losses(self, out: Output, labels: Tensor) -> dict[str, Tensor]:
        """``L = L_ce + w_t |t - t*| + w_i |z - z*| + KL``, means over all elements; the last two in training mode."""
        losses = super().losses(out, labels)
        losses["text_loss"] = self.text_weight * F.l1_loss(F.normalize(out.text, dim=-1), self.teacher)
        if out.frozen_image is not None:
            frozen = out.frozen_image.float()
            distance = F.l1_loss(F.normalize(out.image, dim=-1), F.normalize(frozen, dim=-1))
            losses["image_loss"] = self.image_weight * distance
            theirs = self.clip.logit_scale.exp() * global_similarity(frozen, self.teacher)
            pairs = out.logits.log_softmax(dim=1), theirs.log_softmax(dim=1)
            losses["logits_loss"] = F.kl_div(*pairs, reduction="sum", log_target=True) / theirs.numel()
        return losses


@register_method
class PromptSRC(PromptTrainer):
    """Trains `PromptSRCModel`; the last epoch's prompts are the Gaussian average over all epochs."""

    node = "PROMPTSRC"
    Options = PromptSRCOptions
    Model = PromptSRCModel
    per_class = False
    case = Case({"prompt_depth_vision": 1}, too_deep=("prompt_depth_text", 3))

    def build_model(self) -> None:
        super().build_model()
        mean, std = self.options.gpa_mean, self.options.gpa_std
        self.average = GaussianAverage(self.model.prompts, epochs=self.max_epoch, mean=mean, std=std)

    def after_epoch(self) -> None:
        self.average.update(self.epoch)
        if self.epoch + 1 == self.max_epoch:
            print("Gaussian average of all epochs' prompts taken")
            self.model.prompts.load_state_dict(self.average.average())
        super().after_epoch()

    def extra_state(self) -> dict[str, Any]:
        return super().extra_state() | {"average": self.average.state_dict()}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        super().load_extra_state(state)
        self.average.load_state_dict(state["average"])
