"""Small random CLIPs for tests; every path matters, nothing is trained."""

from __future__ import annotations

import torch

from mpafer.clip import Clip
from mpafer.clip.towers import TextTower, VisionTower

CLASSES = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]


def random_clip(image: int = 32, patch: int = 8, layers: int = 2, seed: int = 0, dim: int = 32) -> Clip:
    """A CLIP of 64-wide towers with OpenAI's vocabulary and a logit scale of 100 / 7."""
    torch.manual_seed(seed)
    clip = Clip(VisionTower(image, patch, 64, layers, dim), TextTower(77, 49408, 64, layers, dim))
    return clip.eval()
