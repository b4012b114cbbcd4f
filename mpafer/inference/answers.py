"""What a predictor says of a picture: one answer, and one of each face in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Point = tuple[float, float]  # x, y
Box = tuple[float, float, float, float]  # left, top, right, bottom
PLACE = ("image", "frame", "time", "face")
FOUND = ("left", "top", "right", "bottom", "score", "marks", "label", "confidence")


@dataclass(frozen=True)
class FaceAnswer:
    """The answer to one face; places are in pixels of the upright picture."""

    label: str
    confidence: float  # the label's probability
    probabilities: dict[str, float]  # of every class, in the order of the labels
    box: Box
    landmarks: tuple[Point, ...]  # eyes, nose and corners of the mouth; the eye that is left in the picture comes first
    score: float  # how sure the detector is that this is a face
    marks: tuple[str, ...] = ()  # why the answer is to be doubted: small, cut, unsure


@dataclass(frozen=True)
class Answer:
    """The answer to a picture.

    Where faces were read, ``label``, ``confidence`` and ``probabilities`` are those of the first, which is the largest.
    Where faces alone were asked for and none was found, the label is "", the confidence 0, and there are no
    probabilities.
    """

    image: str  # name of the picture, "" where it has none
    label: str
    confidence: float
    probabilities: dict[str, float]
    reading: str  # what was read of the picture, and why
    faces: tuple[FaceAnswer, ...] = ()  # the largest first
    note: str = ""  # what holds for every answer of this model

    def record(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        faces = [vars(face) | {"box": list(face.box), "marks": list(face.marks)} for face in self.faces]
        return vars(self) | {"faces": faces}

    def rows(self, frame: int | str = "", time: float | str = "", names: Sequence[int] = ()) -> Iterator[list[Any]]:
        """A row for each face, or one for the whole picture; `heading` names the cells.

        Args:
            frame, time: of a video.
            names: numbers of the faces; default: they are counted from 1.
        """
        ends = [self.reading, self.note]
        if not self.faces:
            found = ["", "", "", "", "", "", self.label, self.confidence if self.label else ""]
            yield [self.image, frame, time, "", *found, *self.probabilities.values(), *ends]
        for name, face in zip(names or range(1, len(self.faces) + 1), self.faces, strict=True):
            found = [*face.box, face.score, " ".join(face.marks), face.label, face.confidence]
            yield [self.image, frame, time, name, *found, *face.probabilities.values(), *ends]


def likeliest(probabilities: Mapping[str, float]) -> str:
    """The class with the highest probability, the first of several."""
    return max(probabilities, key=probabilities.__getitem__)


def heading(classnames: Sequence[str]) -> list[str]:
    """Names of the cells of `Answer.rows`."""
    return [*PLACE, *FOUND, *classnames, "reading", "note"]
