"""What of a picture is classified: its faces, or the whole of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from mpafer.inference.answers import Box, Point
from mpafer.inference.pictures import Picture

FACES = ("auto", "all", "largest", "none")


@dataclass(frozen=True)
class FoundFace:
    """A face of a picture, in its pixels."""

    box: Box
    landmarks: tuple[Point, ...]
    score: float
    marks: tuple[str, ...]


@dataclass(frozen=True)
class Look:
    """What is read of a picture: the images to classify, one a face, or the whole picture where there are no faces."""

    name: str
    images: Sequence[Image.Image]
    reading: str
    faces: Sequence[FoundFace] = ()


class Looker:
    """Looks for faces with a detector, which is made when the first picture needs it."""

    def __init__(self, detector: Any = None) -> None:
        self.detector = detector

    def look(self, picture: Picture, faces: str) -> Look:
        """What is read of a picture; ``faces`` as `Predictor` explains it."""
        return Look(picture.name, [picture.image], "whole image")
