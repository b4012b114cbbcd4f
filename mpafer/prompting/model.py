"""A frozen CLIP with learnable modules: the base of every method's model."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mpafer.clip import Clip
from mpafer.common.errors import OptionError
from mpafer.prompting.losses import weighted_cross_entropy
from mpafer.prompting.precision import autocast, weight_dtype
from mpafer.prompting.similarity import alignment
from mpafer.prompting.text import pool_tokens

_ROWS = 1024  # class prompts encoded at a time, where every image has its own


@dataclass
class Output:
    """A model's output for a batch, in float32. Features are as CLIP gives them: not normalised."""

    logits: Tensor  # [B, C]
    image: Tensor  # global features [B, D]
    patches: Tensor  # patch features [B, N, D]; N is 0 where `FrozenClip.spare_patches` leaves them out
    text: Tensor  # class features [C, D], or [B, C, D] where the prompts depend on the image
    embeddings: Tensor | None = None  # token embeddings of the class prompts [C, L, W], or [B, C, L, W]
    eot: Tensor | None = None  # position of EOS in each class prompt [C]
    frozen_image: Tensor | None = None  # global features without prompts [B, D], where a loss needs them

    def pooled_prompts(self, how: str) -> Tensor:
        """Mean or maximum of each class prompt's tokens, see `pool_tokens`: [C, W].

        Raises:
            ValueError: the model has no class prompts.
        """
        if self.embeddings is None or self.eot is None:
            raise ValueError("this model has no class prompts")
        return pool_tokens(self.embeddings, self.eot, how)


class FrozenClip(nn.Module):
    """A frozen CLIP and the learnable modules of a method.

    Args:
        clip: frozen backbone; its weights are never changed, and a copy is made where the precision differs.
        classnames: C class names, in the order of the labels.
        precision: ``fp32``, ``fp16``, ``amp`` or ``bf16``.
        **prompts: the modules whose parameters are learned, by name; None is left out.

    Attributes:
        class_weights: weights [C] of the cross-entropy, or None.
        spare_patches: in training mode, leave out the patch features where the similarity is global: no loss reads
            them.
        recipe: what made the model, as plain values, where `mpafer.build_model` did; `mpafer.save` writes it.
    """

    class_weights: Tensor | None
    spare_patches = False
    recipe: Mapping[str, Any] | None = None

    def __init__(
        self, clip: Clip, classnames: Sequence[str], *, precision: str = "fp32", **prompts: nn.Module | None
    ) -> None:
        super().__init__()
        self.classnames, self.precision = list(classnames), precision
        self.clip = clip.cast(weight_dtype(precision))
        self.prompts = nn.ModuleDict({name: module for name, module in prompts.items() if module is not None})
        self.register_buffer("class_weights", None, persistent=False)

    @property
    def learnable(self) -> dict[str, nn.Parameter]:
        """The declared parameters by name: all that is trained and all that a checkpoint holds."""
        return dict(self.prompts.named_parameters())

    def losses(self, out: Output, labels: Tensor) -> dict[str, Tensor]:
        """Weighted loss terms by name, scalars; the objective is their sum. Here only the cross-entropy."""
        return {"ce_loss": weighted_cross_entropy(out.logits, labels, self.class_weights)}

    def with_fixed_classes(self) -> FrozenClip:
        """This model with the same weights, for inference alone: its forward takes the class features as constants.

        Raises OptionError where they depend on the image.
        """
        return self


class PromptedClip(FrozenClip):
    """Text prompts, optional prompts of the deeper text layers, optional visual prompts, one similarity head.

    Args:
        clip: frozen backbone.
        classnames: C class names, in the order of the labels.
        text: module whose forward gives token embeddings [C, L, W] and whose ``eot`` holds the EOS positions [C]; where
            it is ``conditional``, it takes the global image features and gives [B, C, L, W].
        deep_text: module whose forward gives a [P, W] tensor for each text layer from the second on, or None.
        visual: module whose forward gives a [P, W] tensor a layer, and whose ``in_sequence`` is `VisionTower`'s, or
            None.
        mode: ``global``, ``local`` or ``global_local`` similarity.
        top_k: patches averaged by the local similarity.
        logit_scale: factor of the similarities; 0 = CLIP's own, half of it for the sum of two similarities, so that
            logits keep the range that CLIP's temperature was trained for.
        precision: ``fp32``, ``fp16``, ``amp`` or ``bf16``.
        **more: further modules that learn, by name, for a method that has some of its own; None is left out.

    Raises:
        OptionError: ``top_k`` is larger than the number of patches.
    """

    def __init__(
        self,
        clip: Clip,
        classnames: Sequence[str],
        *,
        text: nn.Module,
        deep_text: nn.Module | None = None,
        visual: nn.Module | None = None,
        mode: str = "global",
        top_k: int = 1,
        logit_scale: float = 0.0,
        precision: str = "fp32",
        **more: nn.Module | None,
    ) -> None:
        super().__init__(clip, classnames, precision=precision, text=text, deep_text=deep_text, visual=visual, **more)
        if mode != "global" and not 1 <= top_k <= clip.visual.patches:
            raise OptionError(
                f"TOP_K is {top_k}, but {clip.name} has {clip.visual.patches} patches; take at most those"
            )
        self.mode, self.top_k, self.logit_scale = mode, top_k, logit_scale
        self._encoded: tuple[list[Tensor], Tensor] | None = None
        self._fixed: tuple[Tensor, Tensor] | None = None  # what encode_classes gave

    def forward(self, images: Tensor) -> Output:
        """Images [B, 3, H, H], normalised with CLIP's statistics -> `Output`."""
        with autocast(self.precision, images.device):
            image, patches = self.encode_images(images)
            embeddings, text = self._fixed or self.encode_classes(image)
        image, patches = image.float(), patches.float()
        similarity = alignment(image, patches, text, mode=self.mode, k=self.top_k)
        scale = self.logit_scale or self.clip.logit_scale.exp() / (2 if self.mode == "global_local" else 1)
        logits = scale * similarity
        return Output(logits, image, patches, text, embeddings, self.eot)

    @property
    def eot(self) -> Tensor:
        """Position of EOS in each class prompt [C]."""
        return self.prompts["text"].get_buffer("eot")

    def visual_prompts(self) -> Sequence[Tensor | None]:
        """Visual prompts [P, W] of each prompted layer; None for the layers before the first of them."""
        return self.prompts["visual"]() if "visual" in self.prompts else ()

    def encode_images(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Global [B, D] and patch features [B, N, D], with the visual prompts."""
        in_sequence = "visual" in self.prompts and bool(self.prompts["visual"].in_sequence)
        patches = self.mode != "global" or not (self.training and self.spare_patches)
        return self.clip.visual(images, self.visual_prompts(), in_sequence, patches)

    def encode_classes(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Token embeddings and features of the class prompts, as in `Output`.

        Where no gradient is needed, as in evaluation, the text tower runs again only if the prompts have changed.
        """
        learner = self.prompts["text"]
        deep = self.prompts["deep_text"]() if "deep_text" in self.prompts else ()
        if learner.conditional:
            embeddings = learner(image)
            rows, eot = embeddings.flatten(0, 1), self.eot.repeat(len(embeddings))
            pieces = zip(rows.split(_ROWS), eot.split(_ROWS), strict=True)
            text = torch.cat([self.clip.text(piece, ends, deep).float() for piece, ends in pieces])
            return embeddings, text.unflatten(0, embeddings.shape[:2])
        inputs = [learner(), *deep]
        if any(tensor.requires_grad for tensor in inputs):
            return inputs[0], self.clip.text(inputs[0], self.eot, deep).float()
        if self._encoded is None or not _same(self._encoded[0], inputs):
            self._encoded = [tensor.clone() for tensor in inputs], self.clip.text(inputs[0], self.eot, deep).float()
        return inputs[0], self._encoded[1]

    @torch.no_grad()
    def with_fixed_classes(self) -> PromptedClip:
        if self.prompts["text"].conditional:
            raise OptionError(
                "class prompts are made anew for each image: there are no fixed text features, and every answer needs "
                "the text tower"
            )
        fixed, none = copy.copy(self), torch.empty(0, self.clip.embed_dim, device=self.clip.device)  # shares weights
        with autocast(self.precision, none.device):
            fixed._fixed = self.encode_classes(none)
        return fixed


def _same(a: Sequence[Tensor], b: Sequence[Tensor]) -> bool:
    return len(a) == len(b) and all(
        x.shape == y.shape and x.device == y.device and torch.equal(x, y) for x, y in zip(a, b, strict=True)
    )
