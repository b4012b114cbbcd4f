"""A face is turned, scaled and moved so that eyes and mouth lie where a template has them.

The template is measured: where the same detector finds eyes and mouth in a run's own training images. So a photograph
is cropped as those were. All places are shares of the image's centre square, which is what a run sees of an image.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mpafer.common.errors import DataError
from mpafer.common.files import atomic_file
from mpafer.faces.detector import Detector
from mpafer.faces.found import Faces
from mpafer.faces.opencv import load_cv2

FEWEST = 10  # faces that a template is measured on


@dataclass(frozen=True)
class Template:
    """Where eyes and mouth lie in a crop.

    Args:
        points: x and y of the eye on the left, the eye on the right and the mouth's centre, as shares of the side.
        spread: how far a training image's points lie from these: the root mean square distance that three in four keep
            below; faces in profile or turned far, of which data sets have some, do not count then.
        found: images with a face that it was measured on; 0 = it is the stated default.
        looked_at: images that were looked at.
        detector: which one found them.
    """

    points: tuple[tuple[float, float], ...]
    spread: float
    found: int = 0
    looked_at: int = 0
    detector: str = ""

    def write(self, path: Path) -> None:
        """Keep it as JSON."""
        with atomic_file(path) as file:
            file.write(json.dumps(asdict(self), indent=1).encode() + b"\n")

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Template:
        """From `asdict`; raises ValueError, TypeError or KeyError where it is something else."""
        left, right, mouth = ((float(x), float(y)) for x, y in kept["points"])
        return cls(**{**kept, "points": (left, right, mouth)})

    @classmethod
    def read(cls, path: Path) -> Template:
        """What `write` kept.

        Raises:
            DataError: the file holds no template.
        """
        try:
            return cls.of(json.loads(path.read_bytes()))
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{path} holds no template of faces: remove it, and it is measured again") from error


# The eyes level at 40 % of the height and 34 % of the width apart, the mouth at 70 %: a crop from forehead to chin.
DEFAULT_TEMPLATE = Template(((0.33, 0.40), (0.67, 0.40), (0.50, 0.70)), spread=0.05)


def three_points(landmarks: np.ndarray) -> np.ndarray:
    """Five landmarks [..., 5, 2] -> both eyes and the mouth's centre [..., 3, 2]."""
    return np.stack([landmarks[..., 0, :], landmarks[..., 1, :], landmarks[..., 3:, :].mean(-2)], axis=-2)


def in_square(landmarks: np.ndarray, height: int, width: int) -> np.ndarray:
    """The three points as shares of the centre square of an image of that size in pixels."""
    side = min(height, width)
    return (three_points(landmarks) - [(width - side) / 2, (height - side) / 2]) / side


def deviation(points: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Root mean square distance of points [..., 3, 2] from the template's."""
    return np.sqrt(np.square(points - template).sum(-1).mean(-1))


def align(image: np.ndarray, landmarks: np.ndarray, template: Template, size: int) -> np.ndarray:
    """The face, upright: uint8 [size, size, 3].

    Where the crop reaches past the image, the border's pixels are repeated.

    Args:
        image: uint8 RGB [H, W, 3].
        landmarks: of one face, [5, 2].
        template: where eyes and mouth are to lie.
        size: the crop's side in pixels.
    """
    cv2 = load_cv2()
    matrix = similarity(three_points(landmarks), np.array(template.points) * size)
    times = int(np.ceil(1 / np.hypot(*matrix[:, 0])))  # finer than the image, then averaged: no pixel is skipped
    matrix = np.diag([times, times]) @ matrix + [[0, 0, (times - 1) / 2]] * 2  # pixels' centres are whole numbers
    crop = cv2.warpAffine(
        image, matrix, (size * times, size * times), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(crop, dtype=np.uint8)


def centre_square(image: np.ndarray, size: int) -> np.ndarray:
    """The largest square in the middle of an image [H, W, 3]: uint8 [size, size, 3]."""
    cv2 = load_cv2()
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (size, size), interpolation=how), dtype=np.uint8)


def similarity(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """The turn, scale and shift [2, 3] that bring points [N, 2] nearest to others, by least squares; never a mirror.

    In complex numbers it is z -> a z + b.
    """
    z, goal = points @ [1, 1j], onto @ [1, 1j]
    centred = z - z.mean()
    a = (centred.conj() @ goal) / (centred.conj() @ centred).real
    b = goal.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def measure_template(detector: Detector, images: Iterable[np.ndarray]) -> Template | None:
    """The mean place of eyes and mouth in images, each uint8 RGB [H, W, 3]; None = fewer than FEWEST have a face.

    Of several faces in an image the largest counts.
    """
    return template_of(((detector.find(image), *image.shape[:2]) for image in images), detector.name)


def template_of(found: Iterable[tuple[Faces, int, int]], detector: str) -> Template | None:
    """As `measure_template`, of each image's faces, height and width."""
    seen = [in_square(faces.landmarks[0], h, w) if len(faces) else None for faces, h, w in found]
    points = np.array([each for each in seen if each is not None])
    if len(points) < FEWEST:
        return None
    mean = points.mean(0)
    spread = float(np.quantile(deviation(points, mean), 0.75))
    left, right, mouth = ((round(x, 4), round(y, 4)) for x, y in mean.tolist())
    return Template((left, right, mouth), round(spread, 4), len(points), len(seen), detector)
