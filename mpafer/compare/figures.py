"""PNG figures: accuracy over the number of shots, and a confusion matrix per method."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpafer.common.files import atomic_file
from mpafer.compare.document import Figure, images_a_class
from mpafer.compare.runs import ALL, Experiment
from mpafer.compare.table import Comparison, Row, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from numpy.typing import NDArray

FOLDER = "figures"
MARKERS = "osv^D<>PXph*d"


def draw_figures(comparison: Comparison, folder: Path) -> list[Figure]:
    """Write every figure into ``folder``/figures; paths are relative to ``folder``."""
    made = [(f"{FOLDER}/accuracy.png", "Accuracy (WAR) over training images a class, mean ± sd", _accuracy(comparison))]
    seen: set[str] = set()  # what does not learn stands in every table
    for table in comparison.tables:
        for row, entry in zip(table.rows, table.experiments, strict=True):
            title = name = row["method"]
            if entry.learns:
                title, name = f"{title}, {images_a_class(table.shots)}", f"{name}_{table.name}"
            if name in seen:
                continue
            seen.add(name)
            safe = re.sub(r"[^A-Za-z0-9._=+-]", "-", name)
            canvas = _confusion(confusion(entry), comparison.classnames, title)
            made.append((f"{FOLDER}/confusion_{safe}.png", f"Confusion matrix, {title}, %", canvas))
    for file, _, canvas in made:
        save(canvas, folder / file)
    return [Figure(file, caption) for file, caption, _ in made]


def confusion(entry: Experiment) -> NDArray[Any]:
    """Counts summed over the seeds, each row (true class) divided by its sum: [C, C], rows of absent classes 0."""
    import numpy as np

    counts = np.sum([run.record["metrics"]["confusion"] for run in entry.runs], axis=0)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def save(canvas: Canvas, path: Path) -> None:
    """As PNG."""
    data = io.BytesIO()
    canvas.savefig(data, format="png", dpi=120)
    with atomic_file(path) as out:
        out.write(data.getvalue())


def blank(width: float, height: float) -> tuple[Canvas, Axes]:
    """Inches; no display and none of pyplot's global state is needed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(canvas)
    return canvas, canvas.add_subplot()


def _accuracy(comparison: Comparison) -> Canvas:
    from matplotlib import colormaps

    canvas, axes = blank(8, 5)
    ticks = {table.shots: place for place, table in enumerate(comparison.tables)}
    methods = dict.fromkeys(row["method"] for table in comparison.tables for row in table.rows)
    for number, method in enumerate(methods):
        color = "black" if number == 0 else colormaps["tab20"]((number - 1) % 20)
        style = {"color": color, "marker": MARKERS[number % len(MARKERS)], "markersize": 5, "label": method}
        _line(axes, comparison.tables, method, ticks, style)
    names = ["all" if shots == ALL else str(shots) for shots in ticks]
    axes.set_xticks(list(ticks.values()), names)
    axes.set_xlim(-0.4, len(ticks) - 0.6)
    axes.set_xlabel("training images a class")
    axes.set_ylabel("WAR, %")
    axes.set_title(comparison.dataset)
    axes.grid(alpha=0.3)
    canvas.legend(loc="outside right upper", fontsize=8, frameon=False)
    return canvas


def _line(axes: Axes, tables: list[Table], method: str, ticks: dict[int, int], style: dict[str, Any]) -> None:
    """A band over the numbers of shots; all images are a tick apart, reached by a dashed line."""
    rows: list[Row] = [row for table in tables for row in table.rows if row["method"] == method]
    few = [row for row in rows if row["shots"] != ALL]
    points = [(ticks[row["shots"]], row["accuracy"], row["accuracy_sd"] or 0.0) for row in rows]
    if few:
        x, y, sd = zip(*points[: len(few)], strict=True)
        if len(few) == 1:  # a band has no width there
            axes.errorbar(x, y, yerr=sd, capsize=3, **style)
        else:
            axes.plot(x, y, **style)
        low, high = ([a + sign * b for a, b in zip(y, sd, strict=True)] for sign in (-1, 1))
        axes.fill_between(x, low, high, color=style["color"], alpha=0.12, linewidth=0)
    if len(rows) > len(few):
        place, level, deviation = points[-1]
        shown = style | {"label": None} if few else style
        axes.errorbar(place, level, yerr=deviation, capsize=3, linestyle="none", **shown)
        if few:
            axes.plot([x[-1], place], [y[-1], level], color=style["color"], linestyle="--", linewidth=1)


def _confusion(shares: NDArray[Any], classnames: list[str], title: str) -> Canvas:
    size = 2.6 + 0.55 * len(classnames)
    canvas, axes = blank(size, size)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = range(len(classnames))
    axes.set_xticks(places, classnames, rotation=45, ha="right")
    axes.set_yticks(places, classnames)
    for i in places:
        for j in places:
            color = "white" if shares[i, j] > 0.5 else "black"
            axes.text(j, i, f"{100 * shares[i, j]:.0f}", ha="center", va="center", fontsize=8, color=color)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title, fontsize=10)
    return canvas
