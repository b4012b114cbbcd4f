"""What became of each face over the time of a video: a summary in rows, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpafer.common.files import atomic_file
from mpafer.inference.answers import Answer, FaceAnswer, likeliest
from mpafer.results.figures import COLORS, STYLE
from mpafer.video.watching import WHOLE, Seen

MOST = 8  # faces in a picture


@dataclass
class Line:
    """A face's answers: their times in seconds, and each class's probabilities."""

    times: list[float] = field(default_factory=list)
    probabilities: list[dict[str, float]] = field(default_factory=list)

    def mean(self) -> dict[str, float]:
        """Over the frames."""
        return {
            name: sum(each[name] for each in self.probabilities) / len(self.probabilities)
            for name in self.probabilities[0]
        }


class Timeline:
    """Gathers the answers to a video's frames."""

    HEAD = ("face", "from s", "to s", "frames", "label")  # of `summary`, and the classes

    def __init__(self, name: str, note: str = "") -> None:
        self.name, self.note = name, note
        self.lines: dict[int, Line] = {}  # face -> answers; WHOLE for whole frames

    def add(self, seen: Seen) -> None:
        """The answer to the next frame."""
        answers: Sequence[Answer | FaceAnswer] = seen.answer.faces or ([seen.answer] if seen.answer.label else [])
        for number, answer in zip(seen.numbers or (WHOLE,), answers, strict=False):
            line = self.lines.setdefault(number, Line())
            line.times.append(seen.frame.time)
            line.probabilities.append(answer.probabilities)

    def summary(self) -> list[list[Any]]:
        """A row for each face: when it was seen, in how many frames, the label of its mean answer, and that mean."""
        rows = []
        for number, line in sorted(self.lines.items()):
            mean = line.mean()
            seen = round(line.times[0], 2), round(line.times[-1], 2), len(line.times)
            rows.append([title(number), *seen, likeliest(mean), *mean.values()])
        return rows

    def draw(self, path: Path, width: float = 8) -> None:
        """Write the picture, a PNG: probabilities over time, a panel for each of the faces seen in most frames.

        Args:
            path: of the file.
            width: inches.
        """
        from matplotlib.figure import Figure
        from matplotlib.style import context

        shown = sorted(sorted(self.lines, key=lambda number: -len(self.lines[number].times))[:MOST])
        with context(STYLE):
            canvas = Figure(figsize=(width, 1 + 1.5 * max(len(shown), 1)), layout="constrained")
            panels = canvas.subplots(max(len(shown), 1), sharex=True, squeeze=False)[:, 0]
            for number, panel in zip(shown, panels, strict=False):
                _draw_line(panel, self.lines[number])
                panel.set_title(title(number), loc="left")
            if shown:
                canvas.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")
            panels[-1].set_xlabel("seconds")
            left = f"; {len(self.lines) - MOST} more faces in fewer frames" if len(self.lines) > MOST else ""
            note = f" ({self.note})" if self.note else ""
            canvas.suptitle(f"{self.name}{left}{note}".replace("$", r"\$"), fontsize=9)
            with atomic_file(path) as file:
                canvas.savefig(file, format="png", dpi=120)


def title(number: int) -> str:
    """A face's name in tables and pictures."""
    return "whole frame" if number == WHOLE else f"face {number}"


def _draw_line(panel: Any, line: Line) -> None:
    names: Sequence[str] = list(line.probabilities[0])
    for place, name in enumerate(names):
        values = [each[name] for each in line.probabilities]
        style = "-" if place < len(COLORS) else "--"
        mark = "." if len(values) == 1 else ""
        panel.plot(line.times, values, style, marker=mark, color=COLORS[place % len(COLORS)], label=name)
    panel.set_ylim(0, 1)
