"""What gives probabilities to a batch of images: a model of torch, or whatever else answers alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from mpafer.faces.alignment import Template
from mpafer.inference.kept import as_template, shown_names, template_of, transform_of
from mpafer.inference.onnx_file import OnnxFile
from mpafer.inputs.transforms import Transform
from mpafer.prompting.model import FrozenClip

DRAWN = "drawn faces only"  # neither SketchFER nor the stand-in CLIP has photographs


class Classifier(Protocol):
    """What a `Predictor` needs of a model."""

    @property
    def classnames(self) -> Sequence[str]:
        """C names, in the order of the probabilities."""

    @property
    def size(self) -> int:
        """H, pixels of an image's side."""

    @property
    def note(self) -> str:
        """What every answer says of itself, "" = nothing."""

    @property
    def template(self) -> Template | None:
        """Where the training images have eyes and mouth, where that is known."""

    def transform(self, image: Image.Image, /) -> Tensor:
        """RGB image -> [3, H, H], as in the model's own test."""

    def probabilities(self, images: Tensor) -> Tensor:
        """Images [B, 3, H, H], transformed, on the CPU -> probabilities [B, C], float32, on the CPU."""


class ModelClassifier:
    """A model of torch on its device."""

    def __init__(self, model: FrozenClip) -> None:
        self.model, self.template = model.eval(), template_of(model)
        self.transform: Transform = transform_of(model)
        self.size: int = model.clip.visual.image_size
        self.classnames = shown_names(model)
        learned_from = (model.recipe or {}).get("dataset") or ""
        self.note = DRAWN if model.clip.drawn_only or learned_from.startswith("SketchFER") else ""

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> Tensor:
        """As `Classifier` says."""
        logits = self.model(images.to(self.model.clip.device)).logits.cpu()
        logits[~logits.isfinite().all(dim=1)] = torch.nan  # no answer: a softmax would hide an infinite one
        return logits.softmax(dim=1)


class OnnxClassifier:
    """A file of `mpafer export`, on the CPU; errors as `OnnxFile`."""

    def __init__(self, file: str | Path) -> None:
        self.file = OnnxFile(file)
        self.classnames, self.note, self.size = self.file.classnames, self.file.note, self.file.size
        self.template = as_template(self.file.about["template"])

    def transform(self, image: Image.Image) -> Tensor:
        """An RGB image -> [3, H, H]."""
        return torch.from_numpy(self.file.preprocess(image))

    def probabilities(self, images: Tensor) -> Tensor:
        """As `Classifier` says."""
        return torch.from_numpy(self.file.probabilities(images.numpy()))
