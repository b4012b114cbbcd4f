"""Frozen CLIP: weights, tokens and two towers with slots for prompts."""

from mpafer.clip.backbone import Clip
from mpafer.clip.weights import load_clip

__all__ = ["Clip", "load_clip"]
