"""From a predictor's answers to what the page shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from PIL import Image

from mpafer.inference.answers import Answer, likeliest
from mpafer.inference.classifiers import DRAWN
from mpafer.inference.drawing import annotate
from mpafer.video.timeline import Timeline, title

WIDEST = 1280  # pixels of the picture that is shown
DOUBTS = {
    "small": "the face is small",
    "cut": "the border cuts the face",
    "unsure": "this may be no face",
}
PAGE = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
).get_template("answers.html.j2")


@dataclass(frozen=True)
class Card:
    """What is shown of a face, or of the whole picture.

    Args:
        title: which face.
        label: its expression.
        probabilities: of every class.
        cues: parts of the label's description.
        doubt: why the answer is to be doubted, "" = for no known reason.
        when: of a face in a video, when it was seen.
    """

    title: str
    label: str
    probabilities: Mapping[str, float]
    cues: Sequence[str]
    doubt: str = ""
    when: str = ""

    @property
    def bars(self) -> list[tuple[str, float]]:
        """Class and percent, the likeliest first."""
        return sorted(((name, 100 * value) for name, value in self.probabilities.items()), key=lambda bar: -bar[1])


@dataclass(frozen=True)
class Said:
    """All that stands beside a picture: cards, or what went wrong."""

    reading: str = ""
    note: str = ""
    cards: Sequence[Card] = ()
    trouble: str = ""

    def html(self) -> str:
        """As HTML, in which every text is escaped."""
        return PAGE.render(said=self)


def cues(description: str) -> list[str]:
    """The parts of a description: it is split at commas, semicolons and the ends of sentences.

    An "and" that begins a part is left out: "Tears, and a wrinkled forehead." gives "Tears" and "a wrinkled forehead".
    """
    parts = re.split(r"[,;]|[.!?](?=\s|$)", description)
    return [part for part in (re.sub(r"^\s*and\s+", "", part).strip() for part in parts) if part]


def on_picture(answer: Answer, texts: Mapping[str, str]) -> Said:
    """What is said of a picture.

    Args:
        answer: to it.
        texts: class -> description.
    """
    cards = [
        _card(f"Face {number}", face.label, face.probabilities, texts, face.marks)
        for number, face in enumerate(answer.faces, start=1)
    ]
    if answer.label and not cards:
        cards = [_card("Whole picture", answer.label, answer.probabilities, texts)]
    return Said(_sentence(answer.reading), note_of(answer.note), cards)


def on_video(timeline: Timeline, readings: Counter[str], texts: Mapping[str, str]) -> Said:
    """What is said of a video: of each face the mean over its frames.

    Args:
        timeline: of its answers.
        readings: what was read of its frames, and of how many.
        texts: class -> description.
    """
    cards = []
    for number, line in sorted(timeline.lines.items()):
        mean = line.mean()
        when = f"From {line.times[0]:.1f} to {line.times[-1]:.1f} s, mean of {len(line.times)} frames"
        cards.append(_card(_sentence(title(number)), likeliest(mean), mean, texts, when=when))
    read = [f"in {count:,} of them {reading}" for reading, count in readings.most_common()]
    return Said("; ".join([f"{readings.total():,} frames were looked at", *read]), note_of(timeline.note), cards)


def drawn(image: Image.Image, answer: Answer) -> Image.Image:
    """The picture with the answer on it, no larger than the page shows it."""
    shown = annotate(image, answer, range(1, len(answer.faces) + 1), brief=True)
    shown.thumbnail((WIDEST, WIDEST))
    return shown


def note_of(note: str) -> str:
    """A predictor's note, in a sentence."""
    if note != DRAWN:
        return _sentence(note)
    return "For drawn faces only: this model has seen no photograph, and its answers to photographs mean nothing."


def _card(
    title: str,
    label: str,
    probabilities: Mapping[str, float],
    texts: Mapping[str, str],
    marks: Sequence[str] = (),
    when: str = "",
) -> Card:
    doubt = f"Doubtful: {' and '.join(DOUBTS[mark] for mark in marks)}." if marks else ""
    return Card(title, label, probabilities, cues(texts.get(label, "")), doubt, when)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
