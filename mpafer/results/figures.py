"""One style of figure, as PNG for the screen, and as PDF and SVG for a paper."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpafer.common.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from numpy.typing import NDArray

    from mpafer.results.experiments import Experiment

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, and has Greek
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "lines.markersize": 5,
    "lines.linewidth": 1.5,
    "pdf.fonttype": 42,  # text stays text, as publishers want it
    "svg.fonttype": "none",
    "svg.hashsalt": "mpafer",  # the same file each time
}
# Okabe and Ito's colours, which the colour-blind can tell apart; the first one is the reference's.
COLORS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#D55E00", "#0072B2", "#CC79A7", "#999999")
MARKERS = "osv^D<>PXph*d"
LINES = ("-", "--", "-.")  # beyond the colours
FORMS: dict[str, dict[str, Any]] = {
    "png": {"dpi": 150},
    "pdf": {"metadata": {"CreationDate": None}},
    "svg": {"metadata": {"Date": None}},
}


def save_figure(draw: Callable[[Axes], None], path: Path, width: float, height: float) -> None:
    """Draw on empty axes and write ``path`` (a .png), and the same as .pdf and .svg.

    Args:
        draw: gets the axes.
        path: of the PNG.
        width: in inches.
        height: in inches.
    """
    from matplotlib.figure import Figure as Canvas
    from matplotlib.style import context

    with context(STYLE):
        canvas = Canvas(figsize=(width, height), layout="constrained")  # no display, none of pyplot's state
        draw(canvas.add_subplot())
        for ending, options in FORMS.items():
            data = io.BytesIO()
            canvas.savefig(data, format=ending, **options)
            with atomic_file(path.with_suffix(f".{ending}")) as file:
                file.write(data.getvalue())


def line_style(number: int) -> dict[str, Any]:
    """Colour, marker and line of the n-th method of a figure; the first is the reference."""
    color, line = COLORS[number % len(COLORS)], LINES[number // len(COLORS) % len(LINES)]
    return {"color": color, "marker": MARKERS[number % len(MARKERS)], "linestyle": line}


def draw_band(axes: Axes, x: Sequence[float], y: Sequence[float], sd: Sequence[float], **style: Any) -> None:
    """A line with its deviation as a band."""
    axes.plot(x, y, **style)
    low, high = ([a + sign * b for a, b in zip(y, sd, strict=True)] for sign in (-1, 1))
    axes.fill_between(x, low, high, color=style.get("color"), alpha=0.12, linewidth=0)


def legend_outside(axes: Axes) -> None:
    canvas: Canvas = axes.figure  # type: ignore[assignment]  # of which we make no sub-figures
    canvas.legend(loc="outside right upper", fontsize=8)


def confusion_shares(entry: Experiment) -> NDArray[Any]:
    """Counts summed over the seeds, each row (true class) divided by its sum: [C, C], rows of absent classes 0."""
    import numpy as np

    counts = np.sum([run.metrics["confusion"] for run in entry.runs], axis=0)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def draw_confusion(entry: Experiment, title: str, path: Path) -> None:
    """The confusion matrix of an experiment in percent."""
    shares, names = confusion_shares(entry), list(entry.runs[0].display_names)
    places = range(len(names))

    def draw(axes: Axes) -> None:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.grid(visible=False)
        axes.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(places, names)
        for row in places:
            for column in places:
                color = "white" if shares[row, column] > 0.5 else "black"
                percent = f"{100 * shares[row, column]:.0f}"
                axes.text(column, row, percent, ha="center", va="center", fontsize=8, color=color)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.set_title(title)

    size = 1.6 + 0.42 * len(names)
    save_figure(draw, path, size, size)
