"""Drawn faces, scenes of them, and a detector that is told where they are."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mpafer.faces.detector import Faces
from mpafer.sketch.generate import draw_image

Box = tuple[float, float, float, float]
BACKGROUND = (118, 138, 158)


def draw_face(name: str, number: int) -> Image.Image:
    """A face of an expression, 100 x 100; another ``number`` is another drawing."""
    return Image.open(io.BytesIO(draw_image(3, "test", number, name)[0])).convert("RGB")


def draw_face_file(path: Path, name: str, number: int) -> Path:
    """As `draw_face`, in a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_face(name, number).save(path, quality=95)
    return path


@dataclass(frozen=True)
class Placed:
    """A drawn face in a scene: the square of ``side`` pixels whose left upper corner is at x, y."""

    name: str
    number: int
    side: int
    x: int
    y: int

    @property
    def box(self) -> Box:
        return self.x, self.y, self.x + self.side, self.y + self.side

    @property
    def head(self) -> Box:
        """From the forehead to the chin, brows and eyes included: what a detector's box is compared with."""
        parts = np.array(list(draw_image(3, "test", self.number, self.name)[1]["boxes"].values())) * self.side / 100
        (left, top), (right, bottom) = parts[:, :2].min(axis=0), parts[:, 2:].max(axis=0)
        return self.x + left, self.y + top, self.x + right, self.y + bottom

    def draw(self) -> Image.Image:
        return draw_face(self.name, self.number).resize((self.side, self.side), Image.Resampling.BICUBIC)


def draw_scene(width: int, height: int, faces: Sequence[Placed]) -> Image.Image:
    """Faces on a plain ground."""
    scene = Image.new("RGB", (width, height), BACKGROUND)
    for face in faces:
        scene.paste(face.draw(), (face.x, face.y))
    return scene


class Told:
    """In place of a detector, where a test is not about finding faces: it is told the boxes of each image in turn."""

    name = "told"

    def __init__(self, boxes: Iterable[Sequence[Box]]) -> None:
        self.boxes = iter(boxes)

    def find(self, image: np.ndarray) -> Faces:
        found = np.array(next(self.boxes), np.float32).reshape(-1, 4)
        size = found[:, 2:] - found[:, :2]
        shares = np.array([[0.33, 0.40], [0.67, 0.40], [0.5, 0.55], [0.4, 0.7], [0.6, 0.7]], np.float32)
        landmarks = found[:, None, :2] + shares * size[:, None]
        return Faces.of(found, landmarks, np.full(len(found), 0.9, np.float32), *image.shape[:2])
