"""YuNet (Wu et al., Machine Intelligence Research 2023), which OpenCV runs itself, from a file of the user's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mpafer.common.errors import OptionError
from mpafer.faces.found import FIND, Faces
from mpafer.faces.opencv import load_cv2


class YuNet:
    """A detector; see `mpafer.faces.detector.Detector`.

    Raises:
        OptionError: the file is not YuNet's.
    """

    def __init__(self, path: Path) -> None:
        self.cv2, self.name = load_cv2(), path.name
        try:
            self.network = self.cv2.FaceDetectorYN.create(str(path), "", (320, 320), score_threshold=FIND)
            self.find(np.zeros((64, 64, 3), np.uint8))
        except self.cv2.error as error:
            raise OptionError(f"{path} is not a YuNet .onnx file that OpenCV {self.cv2.__version__} reads") from error

    def find(self, image: np.ndarray) -> Faces:
        height, width = image.shape[:2]
        self.network.setInputSize((width, height))
        _, found = self.network.detect(np.ascontiguousarray(image[..., ::-1]))  # BGR
        rows = np.zeros((0, 15), np.float32) if found is None else found  # x, y, width, height, five points, score
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        return Faces.of(boxes, rows[:, 4:14].reshape(-1, 5, 2), rows[:, 14], height, width)
