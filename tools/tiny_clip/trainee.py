"""The towers in pretraining, the augmentation of their images, and their contrastive loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pool import IMAGE_SIZE, Pool
from torch import Tensor, nn

from mpafer.clip.preprocess import PIXEL_MEAN, PIXEL_STD
from mpafer.clip.towers import TextTower, VisionTower
from mpafer.sketch.units import UNITS

PATCH, WIDTH, LAYERS, TEXT_WIDTH, TEXT_LAYERS, EMBED = 16, 192, 4, 128, 2, 128


class TinyClipTrainee(nn.Module):
    """The two towers, and the auxiliary head that is thrown away.

    Args:
        tokens: OpenAI's ids [K] of the token embedding's rows.
        traits: T, number of permanent traits that the head reads beside the action units.
    """

    def __init__(self, tokens: Tensor, traits: int) -> None:
        super().__init__()
        self.visual = VisionTower(IMAGE_SIZE, PATCH, WIDTH, LAYERS, EMBED)
        self.text = TextTower(77, len(tokens), TEXT_WIDTH, TEXT_LAYERS, EMBED)
        self.head = nn.Linear(EMBED, len(UNITS) + traits)

    def read(self, features: Tensor) -> Tensor:
        """Logits of units and traits [B, 20 + T] from the directions of features [B, D]."""
        return self.head(10 * F.normalize(features.float(), dim=-1))

    def texts(self, rows: Tensor, eot: Tensor) -> Tensor:
        """Rows of the token embedding [B, L] and EOT positions [B] -> unit text features [B, D]."""
        return F.normalize(self.text(self.text.embed(rows), eot).float(), dim=-1)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """uint8 [B, 3, S, S] -> normalised floats: mirror, shift by up to 3 pixels, colour gain, grey."""
    n, _, size, _ = images.shape
    if torch.rand((), generator=generator) < 0.5:
        images = images.flip(-1)
    dx, dy = torch.randint(0, 7, (2,), generator=generator).tolist()
    x = F.pad(images.float(), (3, 3, 3, 3), mode="replicate")[..., dy : dy + size, dx : dx + size]
    gain = (1 + 0.25 * torch.randn(n, 3, 1, 1, generator=generator)) / 255
    grey = torch.rand(n, generator=generator) < 0.15
    x = x * gain
    x[grey] = x[grey].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    return normalise(x)


def normalise(x: Tensor) -> Tensor:
    """Images in [0, 1] -> CLIP's pixel statistics."""
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (PIXEL_MEAN, PIXEL_STD))
    return (x.clamp(0, 1) - mean) / std


def contrast(image: Tensor, text: Tensor, scale: float) -> Tensor:
    """CLIP's symmetric cross-entropy of unit features [B, D], [B, D] -> scalar."""
    logits, target = scale * image @ text.T, torch.arange(len(image))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


@torch.no_grad()
def image_features(model: TinyClipTrainee, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Unit features [B, D] of uint8 images [B, 3, S, S], augmented when there is a generator."""
    found = []
    for part in images.split(512):
        x = normalise(part.float() / 255) if generator is None else augment(part, generator)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found.append(F.normalize(model.visual(x)[0].float(), dim=-1))
    return torch.cat(found)


def pick_captions(pool: Pool, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One caption of each face: rows of the small embedding table [B, L], and EOT positions [B]."""
    which = torch.randint(pool.tokens.shape[1], (len(index),), generator=generator)
    rows = pool.tokens[index, which].long()
    return rows, rows.argmax(dim=1)  # EOT has the last row, as it has CLIP's highest id
