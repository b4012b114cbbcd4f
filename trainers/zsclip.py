"""Zero-shot CLIP: Learning Transferable Visual Models From Natural Language Supervision. ICML 2021, arXiv 2103.00020.

Nothing learns. `ZeroshotCLIP` and `ZeroshotCLIP2` as KaiyangZhou/CoOp, trainers/zsclip.py at ff61507; deviation: the
data set's sentence is TEMPLATE. `ZeroshotDescriptions` takes the sentences of MPA-FER's hard prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from mpafer.clip import Clip
from mpafer.common.options import Options, option
from mpafer.prompting.descriptions import Description, load_descriptions
from mpafer.prompting.fixed import FixedPrompts
from mpafer.prompting.model import PromptedClip
from mpafer.prompting.precision import PRECISIONS
from mpafer.prompting.teachers import (
    EXPRESSION,
    fill,
    hard_prompt_features,
    hard_prompts,
    load_templates,
    template_features,
)
from mpafer.trainers.base import PromptTrainer, register_method


@dataclass(frozen=True)
class ZeroshotCLIPOptions(Options):
    """``TRAINER.ZEROSHOTCLIP``."""

    template: str = EXPRESSION + "."  # {name} is the class
    prec: str = option("fp32", choices=PRECISIONS)


@dataclass(frozen=True)
class ZeroshotCLIP2Options(ZeroshotCLIPOptions):
    """``TRAINER.ZEROSHOTCLIP2``."""

    templates: str = "select"  # a set in templates.yaml; TEMPLATE joins it


@dataclass(frozen=True)
class ZeroshotDescriptionsOptions(Options):
    """``TRAINER.ZEROSHOTDESCRIPTIONS``."""

    hard_prompt: int = option(3, choices=(1, 2, 3))
    prec: str = option("fp32", choices=PRECISIONS)


class ZeroshotCLIPModel(PromptedClip):
    """Cosine similarity of the image with one sentence a class."""

    def __init__(self, clip: Clip, classnames: Sequence[str], options: ZeroshotCLIPOptions) -> None:
        text = FixedPrompts(clip, fill(options.template, classnames))
        super().__init__(clip, classnames, text=text, precision=options.prec)


class ZeroshotCLIP2Model(ZeroshotCLIPModel):
    """Cosine similarity with the mean of several sentences' unit features."""

    ensemble: Tensor

    def __init__(self, clip: Clip, classnames: Sequence[str], options: ZeroshotCLIP2Options) -> None:
        super().__init__(clip, classnames, options)
        templates = [*load_templates(options.templates), options.template]
        self.register_buffer("ensemble", template_features(clip, classnames, templates), persistent=False)

    def encode_classes(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return self.prompts["text"](), F.normalize(self.ensemble, dim=-1)


class ZeroshotDescriptionsModel(PromptedClip):
    """Cosine similarity with each class's description, or with the mean of several descriptions' unit features."""

    ensemble: Tensor | None

    def __init__(
        self,
        clip: Clip,
        classnames: Sequence[str],
        options: ZeroshotDescriptionsOptions,
        *,
        descriptions: Mapping[str, Description] | None = None,
    ) -> None:
        if descriptions is None and options.hard_prompt == 3:
            descriptions = load_descriptions(classnames=classnames)
        prompts = hard_prompts(classnames, descriptions or {}, options.hard_prompt)
        first = FixedPrompts(clip, [texts[0] for texts in prompts])
        super().__init__(clip, classnames, text=first, precision=options.prec)
        several = any(len(texts) > 1 for texts in prompts)
        ensemble = hard_prompt_features(clip, classnames, prompts)[1] if several else None
        self.register_buffer("ensemble", ensemble, persistent=False)

    def encode_classes(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return super().encode_classes(image) if self.ensemble is None else (self.prompts["text"](), self.ensemble)


@register_method
class ZeroshotCLIP(PromptTrainer):
    """Evaluates `ZeroshotCLIPModel`."""

    node = "ZEROSHOTCLIP"
    Options = ZeroshotCLIPOptions
    Model = ZeroshotCLIPModel
    learns = False


@register_method
class ZeroshotCLIP2(PromptTrainer):
    """Evaluates `ZeroshotCLIP2Model`."""

    node = "ZEROSHOTCLIP2"
    Options = ZeroshotCLIP2Options
    Model = ZeroshotCLIP2Model
    learns = False


@register_method
class ZeroshotDescriptions(PromptTrainer):
    """Evaluates `ZeroshotDescriptionsModel`."""

    node = "ZEROSHOTDESCRIPTIONS"
    Options = ZeroshotDescriptionsOptions
    Model = ZeroshotDescriptionsModel
    learns = False
    accepts = ("descriptions",)
