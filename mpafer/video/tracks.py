"""Which face of a frame is which of the frame before, and its probabilities smoothed over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mpafer.inference.answers import Box

OVERLAP = 0.3  # of two boxes (IoU), from which on they may be one face
PATIENCE = 1.0  # seconds for which a face that is not found is waited for


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0.0) * max(height, 0.0)
    either = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - both
    return both / either if either > 0 else 0.0


class Tracks:
    """Faces by number, from 1; each has the place where it was last, and when that was."""

    def __init__(self) -> None:
        self.last: dict[int, tuple[Box, float]] = {}
        self.count = 0

    def follow(self, boxes: Sequence[Box], time: float) -> list[int]:
        """The numbers of a frame's faces.

        The pair of a known and a new box that overlap most are one face, then the next pair, and so on. What is left
        is a new face.
        """
        self.last = {number: seen for number, seen in self.last.items() if time - seen[1] <= PATIENCE}
        pairs = sorted(
            (
                (overlap(box, seen[0]), new, number)
                for new, box in enumerate(boxes)
                for number, seen in self.last.items()
            ),
            reverse=True,
        )
        numbers: dict[int, int] = {}  # place in the frame -> face
        for share, new, number in pairs:
            if share >= OVERLAP and new not in numbers and number not in numbers.values():
                numbers[new] = number
        for new in range(len(boxes)):
            if new not in numbers:
                self.count += 1
                numbers[new] = self.count
        self.last |= {numbers[new]: (box, time) for new, box in enumerate(boxes)}
        return [numbers[new] for new in range(len(boxes))]


class Smoother:
    """A face's probabilities, averaged over time with weights that fall by e in ``seconds``; 0 = as they are.

    mean <- mean + (1 - exp(-dt / seconds)) (new - mean), where dt is the time since the face was seen last: the rate of
    the frames, which may vary, does not matter. The first answer to a face stands as it is.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.means: dict[int, tuple[float, dict[str, float]]] = {}

    def smooth(self, face: int, time: float, new: Mapping[str, float]) -> dict[str, float]:
        """The average after a new answer."""
        mean = dict(new)
        if self.seconds > 0 and face in self.means:
            before, old = self.means[face]
            weight = 1 - math.exp(-(time - before) / self.seconds)
            mean = {name: old[name] + weight * (value - old[name]) for name, value in new.items()}
        self.means[face] = time, mean
        return mean
