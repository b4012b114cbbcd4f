"""Alignment brings eyes and mouth to the template, whatever the turn and size; the template is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mpafer.common.errors import DataError
from mpafer.faces.alignment import (
    DEFAULT_TEMPLATE,
    FEWEST,
    Template,
    align,
    centre_square,
    in_square,
    measure_template,
    similarity,
    three_points,
)
from mpafer.faces.found import Faces

pytest.importorskip("cv2", reason="OpenCV is not installed: the extra faces")
POINTS = np.array([[60, 80], [100, 80], [80, 100], [66, 116], [94, 116]], float)  # a face in a picture of 160 x 160


def turned(points: np.ndarray, degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)) * scale, np.sin(np.radians(degrees)) * scale
    return points @ np.array([[c, s], [-s, c]]) + shift


def painted(landmarks: np.ndarray, side: int, radius: float) -> np.ndarray:
    """A disc of its own colour at each eye and the mouth's centre."""
    image = np.zeros((side, side, 3), np.uint8)
    y, x = np.mgrid[:side, :side]
    for channel, point in enumerate(three_points(landmarks)):
        image[..., channel][(x - point[0]) ** 2 + (y - point[1]) ** 2 <= radius**2] = 255
    return image


@pytest.mark.parametrize("degrees,scale", [(0, 1), (35, 0.6), (-80, 1.0), (170, 2.5), (20, 6.0)])
def test_eyes_and_mouth_lie_at_the_template(degrees, scale):
    side = int(320 * scale) + 200
    landmarks = turned(POINTS - 80, degrees, scale, (side / 2, side / 2))
    crop = align(painted(landmarks, side, 5 * scale), landmarks, Template(DEFAULT_TEMPLATE.points, 0.1), 96)
    assert crop.shape == (96, 96, 3) and crop.dtype == np.uint8
    target = similarity_of(landmarks)
    for channel in range(3):
        weights = crop[..., channel].astype(float)
        centre = np.array([(weights * axis).sum() for axis in np.mgrid[:96, :96][::-1]]) / weights.sum()
        assert np.abs(centre - target[channel]).max() < 0.7


def similarity_of(landmarks: np.ndarray) -> np.ndarray:
    """Where least squares brings the three points: near the template, not on it, as three points need not fit."""
    points, goal = three_points(landmarks), np.array(DEFAULT_TEMPLATE.points) * 96
    matrix = similarity(points, goal)
    assert np.abs(points @ matrix[:, :2].T + matrix[:, 2] - goal).max() < 4
    return points @ matrix[:, :2].T + matrix[:, 2]


def test_a_similarity_is_recovered_and_never_mirrors():
    points = np.array([[0, 0], [4, 1], [2, 5]], float)
    matrix = similarity(points, turned(points, 30, 2, (3, -1)))
    np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], turned(points, 30, 2, (3, -1)), atol=1e-9)
    mirror = similarity(points, points * [-1, 1])
    assert np.linalg.det(mirror[:, :2]) > 0


def test_no_pixel_is_skipped_where_a_face_shrinks():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (1600, 1600, 3)).astype(np.uint8)
    crop = align(noise, POINTS * 10, DEFAULT_TEMPLATE, 32)
    assert crop.std() < 15 < noise.std()  # averaged; picked pixels would vary as the noise does


def test_shares_are_of_the_centre_square():
    landmarks = POINTS + np.array([100, 0])
    np.testing.assert_allclose(in_square(landmarks, 160, 360), three_points(POINTS) / 160)
    image = np.zeros((60, 100, 3), np.uint8)
    image[:, 20:80] = 200
    assert (centre_square(image, 30) == 200).all()


class Pointing:
    """A detector whose face lies where the image's first pixel says, or nowhere."""

    name = "pointing"

    def find(self, image: np.ndarray) -> Faces:
        if not image[0, 0].any():
            return Faces.none()
        return Faces(np.array([[40, 40, 120, 130]]), POINTS[None] + image[0, 0, 0] - 100.0, np.array([0.9]))


def images(firsts: list[int]) -> list[np.ndarray]:
    return [np.full((160, 160, 3), first, np.uint8) for first in firsts]


def test_the_template_is_the_mean_place():
    template = measure_template(Pointing(), images([96, 104] * 10 + [0] * 4))
    assert template is not None
    np.testing.assert_allclose(template.points, three_points(POINTS) / 160, atol=1e-3)
    assert (template.found, template.looked_at, template.detector) == (20, 24, "pointing")
    assert template.spread == pytest.approx(4 * 2**0.5 / 160, abs=1e-3)


def test_too_few_faces_make_no_template():
    assert measure_template(Pointing(), images([100] * (FEWEST - 1) + [0] * 50)) is None
    assert measure_template(Pointing(), images([100] * FEWEST)) is not None


def test_a_template_is_kept(tmp_path: Path):
    file = tmp_path / "template.json"
    DEFAULT_TEMPLATE.write(file)
    assert Template.read(file) == DEFAULT_TEMPLATE
    for damage in ("", "[]", '{"points": [[1, 2]], "spread": 1}', '{"points": [[1, 2], [1, 2], [3, 4]]}'):
        file.write_text(damage)
        with pytest.raises(DataError, match=r"template.json holds no template of faces"):
            Template.read(file)
