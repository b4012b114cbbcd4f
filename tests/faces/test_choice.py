"""Which faces are read, when the whole image is, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from mpafer.common.errors import OptionError
from mpafer.faces.alignment import DEFAULT_TEMPLATE
from mpafer.faces.choice import choose
from mpafer.faces.found import Faces

EYES_AND_MOUTH = np.array(DEFAULT_TEMPLATE.points)


def face_at(shares: np.ndarray, side: int = 200) -> Faces:
    """One face with its three points there."""
    (left, right, mouth) = shares * side
    aside = np.array([9, 0])
    landmarks = np.array([left, right, (left + right) / 2, mouth - aside, mouth + aside])
    low, high = landmarks.min(0) - 20, landmarks.max(0) + 20
    return Faces(np.concatenate([low, high])[None], landmarks[None], np.array([0.9]))


def several(*boxes: tuple[float, float, float, float], score: float = 0.9) -> Faces:
    return Faces(np.array(boxes), np.zeros((len(boxes), 5, 2)), np.full(len(boxes), score))


def test_one_face_cropped_as_in_training_is_read_whole():
    choice = choose(face_at(EYES_AND_MOUTH + 0.02), "auto", 200, 200)
    assert choice.whole and not len(choice.faces)
    assert choice.why == "the whole image is read: it is one face, cropped as the training images are"


@pytest.mark.parametrize(
    "shares", [EYES_AND_MOUTH + 0.1, EYES_AND_MOUTH * 0.6 + 0.2, (EYES_AND_MOUTH - 0.5) @ [[0, 1], [-1, 0]] + 0.5],
    ids=["shifted", "small", "turned"],
)  # fmt: skip
def test_one_face_elsewhere_is_cropped(shares):
    choice = choose(face_at(shares), "auto", 200, 200)
    assert not choice.whole and len(choice.faces) == 1 and choice.why == "one face is read"


def test_what_each_mode_reads():
    two, none = several((10, 10, 90, 90), (100, 10, 150, 60)), Faces.none()
    read = {mode: choose(two, mode, 200, 200) for mode in ("auto", "all", "largest", "none")}
    assert [len(read[mode].faces) for mode in ("auto", "all", "largest", "none")] == [2, 2, 1, 0]
    assert read["largest"].why == "the largest of 2 faces is read" and read["all"].why == "2 faces are read"
    assert read["none"].whole and not read["all"].whole
    assert choose(none, "auto", 200, 200).why == "the whole image is read: no face was found"
    nothing = choose(none, "all", 200, 200)
    assert not nothing.whole and nothing.why == "nothing is read: no face was found"
    one = face_at(EYES_AND_MOUTH)
    assert not choose(one, "all", 200, 200).whole and not choose(one, "largest", 200, 200).whole


def test_marks():
    faces = several((0, 10, 90, 90), (100, 10, 139, 45), (120, 120, 200, 180))
    assert choose(faces, "all", 200, 200).marks == (("cut",), ("small",), ("cut",))
    assert choose(several((10, 10, 90, 90), score=0.4), "all", 200, 200).marks == (("unsure",),)
    assert choose(several((10, 10, 90, 90)), "all", 200, 200).marks == ((),)


def test_another_mode_is_refused():
    with pytest.raises(OptionError, match="faces: 'some' is none of auto, all, largest, none"):
        choose(Faces.none(), "some", 200, 200)  # type: ignore[arg-type]
