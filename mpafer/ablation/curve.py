"""Accuracy over a number that an ablation doubles, as PNG and CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from mpafer.common.files import atomic_file
from mpafer.compare.document import Figure
from mpafer.compare.figures import blank, save
from mpafer.compare.statistics import SPLITS
from mpafer.compare.table import Comparison
from mpafer.report import METRICS


def draw_curve(comparison: Comparison, symbol: str, option: str, folder: Path, stem: str) -> Figure:
    """``stem``_curve.png and .csv in ``folder``; mean ± sample deviation over the seeds."""
    (table,) = comparison.tables
    columns = [column for key in METRICS for column in (key, f"{key}_sd")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([symbol, "n", *columns])
    writer.writerows([row[option], row["n"], *(row[column] for column in columns)] for row in table.rows)
    with atomic_file(folder / f"{stem}_curve.csv") as file:
        file.write(text.getvalue().encode())

    from matplotlib.ticker import NullLocator

    canvas, axes = blank(6, 4)
    x, y = ([row[key] for row in table.rows] for key in (option, "accuracy"))
    sd = [row["accuracy_sd"] or 0.0 for row in table.rows]
    low, high = ([a + sign * b for a, b in zip(y, sd, strict=True)] for sign in (-1, 1))
    axes.fill_between(x, low, high, alpha=0.2, linewidth=0)
    axes.plot(x, y, marker="o", markersize=5)
    axes.set_xscale("log", base=2)
    axes.set_xticks(x, [str(value) for value in x], fontsize=8)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(symbol)
    axes.set_ylabel("WAR, %")
    axes.set_title(f"{comparison.dataset}, {SPLITS[comparison.split]} images")
    axes.grid(alpha=0.3)
    save(canvas, folder / f"{stem}_curve.png")
    return Figure(f"{stem}_curve.png", f"Accuracy (WAR) over {symbol}, mean ± sd over the seeds")
