"""A predictor's answers to the frames of a video: faces have numbers, and answers may be smoothed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from mpafer.common.errors import DataError
from mpafer.inference.answers import Answer, likeliest
from mpafer.inference.predictor import Predictor
from mpafer.video.reading import Frame
from mpafer.video.tracks import Smoother, Tracks

WHOLE = 0  # in place of a face's number, where the whole frame was read


@dataclass(frozen=True)
class Seen:
    """A frame, the answer to it, and the numbers of its faces."""

    frame: Frame
    answer: Answer
    numbers: tuple[int, ...]


def watch(predictor: Predictor, frames: Iterable[Frame], *, smooth: float = 0.0, live: bool = False) -> Iterator[Seen]:
    """The answers to frames, one after the other.

    Args:
        predictor: answers.
        frames: from `read_frames`.
        smooth: seconds, see `Smoother`; a face's label is that of its smoothed probabilities.
        live: answer each frame at once, without waiting for a batch.

    Raises:
        DataError: as `read_frames`, after the answers to all frames that could be read.
    """
    trouble: list[DataError] = []

    def readable() -> Iterator[Frame]:
        try:
            yield from frames
        except DataError as error:  # of a video that is damaged further on
            trouble.append(error)

    tracks, smoother = Tracks(), Smoother(smooth)
    for frame, answer in predictor.pairs(readable(), batch_size=1 if live else 0):
        numbers = tracks.follow([face.box for face in answer.faces], frame.time)
        yield Seen(frame, _smoothed(answer, numbers, frame.time, smoother), tuple(numbers))
    if trouble:
        raise trouble[0]


def _smoothed(answer: Answer, numbers: list[int], time: float, smoother: Smoother) -> Answer:
    if not answer.faces:
        if not answer.label:
            return answer
        return replace(answer, **_best(smoother.smooth(WHOLE, time, answer.probabilities)))
    faces = tuple(
        replace(face, **_best(smoother.smooth(number, time, face.probabilities)))
        for number, face in zip(numbers, answer.faces, strict=True)
    )
    return replace(answer, faces=faces, **_best(faces[0].probabilities))


def _best(probabilities: dict[str, float]) -> dict[str, Any]:
    label = likeliest(probabilities)
    return {"label": label, "confidence": probabilities[label], "probabilities": probabilities}
