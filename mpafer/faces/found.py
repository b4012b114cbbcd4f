"""The faces that were found in an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mpafer.faces.opencv import load_cv2

FIND = 0.35  # scores below are no faces
OVERLAP = 0.3  # of two boxes (IoU) that are one face


@dataclass(frozen=True)
class Faces:
    """The faces of one image in its pixels, the largest first; a box may reach the border, never past it.

    Args:
        boxes: float32 [N, 4], x0, y0, x1, y1.
        landmarks: float32 [N, 5, 2], x and y of the eye on the picture's left, the eye on its right, the nose, and the
            mouth's left and right corner in the picture; they may lie outside of it.
        scores: float32 [N], 0 to 1.
    """

    boxes: np.ndarray
    landmarks: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, which: Any) -> Faces:
        """Some of them: a slice, or an array of indices or truth values."""
        return Faces(self.boxes[which], self.landmarks[which], self.scores[which])

    @classmethod
    def none(cls) -> Faces:
        """No face."""
        return cls(np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32))

    @classmethod
    def of(cls, boxes: np.ndarray, landmarks: np.ndarray, scores: np.ndarray, height: int, width: int) -> Faces:
        """Those of an image of that size in pixels: one a face, clipped to the image, sorted by area."""
        one = keep_best(boxes, scores)
        boxes = np.clip(boxes[one], 0, [width, height, width, height])
        order = np.argsort(-np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), kind="stable")
        faces = cls(boxes.astype(np.float32), landmarks[one].astype(np.float32), scores[one].astype(np.float32))
        return faces[order]


def keep_best(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of boxes [N, 4] that overlap, the one with the best score: indices."""
    if not len(scores):
        return np.zeros(0, dtype=int)
    corner_and_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return np.asarray(load_cv2().dnn.NMSBoxes(corner_and_size.tolist(), scores.tolist(), 0.0, OVERLAP), dtype=int)
