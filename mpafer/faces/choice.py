"""Which of the faces found in a photograph are read, or whether the whole photograph is, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from mpafer.common.errors import OptionError
from mpafer.faces.alignment import DEFAULT_TEMPLATE, Template, deviation, in_square
from mpafer.faces.found import Faces

Mode = Literal["auto", "all", "largest", "none"]
SMALL = 40  # pixels of a box's longer side
SURE = 0.6  # of a score


@dataclass(frozen=True)
class Choice:
    """What to read of a photograph.

    Args:
        faces: those to read, the largest first; none where `whole`.
        marks: of each of them, some of small, cut and unsure.
        whole: the whole photograph is read, as one image.
        why: a sentence that says which and for what reason.
    """

    faces: Faces
    marks: tuple[tuple[str, ...], ...]
    whole: bool
    why: str


def choose(faces: Faces, mode: Mode, height: int, width: int, template: Template = DEFAULT_TEMPLATE) -> Choice:
    """What to read of a photograph.

    With `auto` every face is read; the whole photograph is where no face was found, or where it has one face that lies
    as in the run's training images: eyes and mouth not farther from the template than its spread.

    Args:
        faces: what was found in it; with `none` nobody need have looked.
        mode: auto, all, largest or none.
        height, width: of the photograph in pixels.
        template: where the run's training images have eyes and mouth.

    Raises:
        OptionError: another mode.
    """
    if mode not in get_args(Mode):
        raise OptionError(f"faces: {mode!r} is none of {', '.join(get_args(Mode))}")
    if mode == "none":
        return _whole(faces, "the whole image is read: faces are not looked for")
    if not len(faces):
        if mode == "auto":
            return _whole(faces, "the whole image is read: no face was found")
        return Choice(faces, (), False, "nothing is read: no face was found")
    if mode == "auto" and len(faces) == 1:
        away = deviation(in_square(faces.landmarks[0], height, width), np.array(template.points))
        if away <= template.spread:
            return _whole(faces, "the whole image is read: it is one face, cropped as the training images are")
    read = faces[:1] if mode == "largest" else faces
    marks = tuple(marks_of(read, face, height, width) for face in range(len(read)))
    if len(read) < len(faces):
        return Choice(read, marks, False, f"the largest of {len(faces)} faces is read")
    return Choice(read, marks, False, "one face is read" if len(read) == 1 else f"{len(read)} faces are read")


def marks_of(faces: Faces, face: int, height: int, width: int) -> tuple[str, ...]:
    """What makes an answer on one of the faces less certain: it is small, cut by the border, or hardly a face."""
    x0, y0, x1, y1 = faces.boxes[face].tolist()
    about = {
        "small": max(x1 - x0, y1 - y0) < SMALL,
        "cut": x0 <= 0 or y0 <= 0 or x1 >= width or y1 >= height,
        "unsure": faces.scores[face] < SURE,
    }
    return tuple(mark for mark, holds in about.items() if holds)


def _whole(faces: Faces, why: str) -> Choice:
    return Choice(faces[:0], (), True, why)
