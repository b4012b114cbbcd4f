"""A frozen CLIP with prompts in it: what every method is built from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mpafer.clip import Clip
from mpafer.prompting.precision import autocast, weight_dtype
from mpafer.prompting.similarity import alignment


@dataclass
class Output:
    """What a prompted CLIP says of a batch, in float32. Features are as CLIP gives them: not normalised."""

    logits: Tensor  # [B, C]
    image: Tensor  # global features [B, D]
    patches: Tensor  # patch features [B, N, D]
    text: Tensor  # class features [C, D]
    embeddings: Tensor  # token embeddings of the class prompts [C, L, W]
    eot: Tensor  # position of EOS in each of them [C]


class PromptedClip(nn.Module):
    """Frozen CLIP, text prompts, optional visual prompts, one similarity head.

    Args:
        clip: frozen backbone; its weights are never changed, and a copy is made where the precision differs.
        classnames: C class names, in the order of the labels.
        text: module whose forward gives token embeddings [C, L, W] and whose ``eot`` holds the EOS positions [C].
        visual: module whose forward gives a [P, W] tensor a layer, or None.
        mode: ``global``, ``local`` or ``global_local`` similarity.
        top_k: patches averaged by the local similarity.
        precision: ``fp32``, ``fp16``, ``amp`` or ``bf16``.
    """

    def __init__(
        self,
        clip: Clip,
        classnames: Sequence[str],
        *,
        text: nn.Module,
        visual: nn.Module | None = None,
        mode: str = "global",
        top_k: int = 1,
        precision: str = "fp32",
    ) -> None:
        super().__init__()
        if mode != "global" and not 1 <= top_k <= clip.visual.patches:
            raise ValueError(f"TOP_K is {top_k}, but {clip.name} has {clip.visual.patches} patches; take 1 to that")
        self.classnames = list(classnames)
        self.mode, self.top_k, self.precision = mode, top_k, precision
        self.clip = clip.cast(weight_dtype(precision))
        self.prompts = nn.ModuleDict({"text": text})
        if visual is not None:
            self.prompts["visual"] = visual
        self._encoded: tuple[Tensor, Tensor] | None = None

    @property
    def learnable(self) -> dict[str, nn.Parameter]:
        """The declared parameters by name: all that is trained and all that a checkpoint holds."""
        return dict(self.prompts.named_parameters())

    def forward(self, images: Tensor) -> Output:
        """Images [B, 3, H, H], normalised with CLIP's statistics -> `Output`."""
        with autocast(self.precision, images.device):
            embeddings, text = self.encode_classes()
            visual = self.prompts["visual"]() if "visual" in self.prompts else ()
            image, patches = self.clip.visual(images, visual)
        image, patches = image.float(), patches.float()
        similarity = alignment(image, patches, text, mode=self.mode, k=self.top_k)
        logits = self.clip.logit_scale.exp() * similarity
        return Output(logits, image, patches, text, embeddings, self.eot)

    @property
    def eot(self) -> Tensor:
        """Position of EOS in each class prompt [C]."""
        return self.prompts["text"].get_buffer("eot")

    def encode_classes(self) -> tuple[Tensor, Tensor]:
        """Token embeddings [C, L, W] and features [C, D] of the class prompts; kept while evaluation sees the same."""
        embeddings = self.prompts["text"]()
        if torch.is_grad_enabled():
            return embeddings, self.clip.text(embeddings, self.eot).float()
        if self._encoded is None or not _same(self._encoded[0], embeddings):
            self._encoded = embeddings, self.clip.text(embeddings, self.eot).float()
        return self._encoded

    def losses(self, out: Output, labels: Tensor) -> dict[str, Tensor]:
        """Weighted loss terms by name; the objective is their sum. Here the cross-entropy alone."""
        return {"ce_loss": F.cross_entropy(out.logits, labels)}


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.device == b.device and torch.equal(a, b)
