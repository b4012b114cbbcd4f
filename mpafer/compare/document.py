"""The comparison as sections of text, tables and figures, in Markdown and for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tabulate import tabulate

from mpafer.compare.runs import ALL
from mpafer.compare.statistics import SPLITS, explanation
from mpafer.compare.table import Comparison, Row, Table
from mpafer.report import METRICS

DRAWN = "These are drawn faces: the numbers, and the order of the methods, say nothing about photographs."
MEASURES = (
    "Mean ± sample standard deviation over n seeds, in %. WAR: share of the images that are right (accuracy). "
    "UAR: mean recall of the classes. ECE: expected calibration error, 15 bins."
)
FIXED = " A method that learns nothing has one result (n = 1), which is shown for every number of shots."
MEMORY = (
    "Peak memory is that of tensors on the GPU (gpu), or the largest resident size of the whole process (process), "
    "from the start, or last resumption, of the run to the end of its evaluation. Times are those of the training "
    "epochs, and longer where runs shared a machine."
)


@dataclass(frozen=True)
class Grid:
    """A table to be read: first column left, the others right."""

    headers: list[str]
    body: list[list[str]]

    def text(self, form: str) -> str:
        """In one of tabulate's formats."""
        columns = ("left", *["right"] * (len(self.headers) - 1))
        return tabulate(self.body, self.headers, tablefmt=form, disable_numparse=True, colalign=columns)


@dataclass(frozen=True)
class Figure:
    """An image file beside the document."""

    file: str
    caption: str


@dataclass(frozen=True)
class Section:
    """``detail``: not for the terminal."""

    title: str
    level: int
    blocks: list[str | Grid | Figure] = field(default_factory=list)
    detail: bool = False


def sections(comparison: Comparison, figures: Sequence[Figure] = ()) -> list[Section]:
    """The whole document."""
    tested = f"{comparison.images:,} {SPLITS[comparison.split]} images{' a seed' * (comparison.split == 'val')}."
    head: list[str | Grid | Figure] = [f"{tested} {MEASURES}{FIXED * (comparison.row == 'method')}"]
    if comparison.dataset.startswith("SketchFER"):
        head.append(DRAWN)
    head += [f"Warning: {text}." for text in comparison.warnings]
    found = [Section(comparison.title, 1, head)]
    differences = explanation(comparison.row, comparison.split)
    for table in comparison.tables:
        title = images_a_class(table.shots).capitalize()
        compared = any(row["difference"] is not None for row in table.rows)
        found += [
            Section(title, 2, [_results(table, comparison, compared), *([differences] * compared)]),
            Section("Recall of each class, %", 3, [_recalls(table, comparison)], detail=True),
            Section("Cost, mean over the seeds", 3, [_costs(table, comparison.row), MEMORY], detail=True),
        ]
    if comparison.published:
        known = comparison.published
        rows = [[name, value if isinstance(value, str) else f"{value:.2f}"] for name, value in known["rows"].items()]
        grid, source = Grid(["published", known.get("column", "accuracy %")], rows), f"Source: {known['source']}."
        found.append(Section("Published, not measured here", 2, [grid, source], detail=True))
    if figures:
        found.append(Section("Figures", 2, list(figures), detail=True))
    found.append(Section("Runs", 2, ["; ".join(comparison.provenance) + "."], detail=True))
    return found


def markdown(document: Sequence[Section]) -> str:
    """GitHub's Markdown."""
    parts = []
    for section in document:
        parts.append(f"{'#' * section.level} {section.title}")
        for block in section.blocks:
            if isinstance(block, Grid):
                parts.append(block.text("github"))
            elif isinstance(block, Figure):
                parts.append(f"![{block.caption}]({block.file})")
            else:
                parts.append(block)
    return "\n\n".join(parts) + "\n"


def terminal(document: Sequence[Section]) -> str:
    """Without details, the tables alone."""
    parts = []
    for section in document:
        if not section.detail:
            parts += [
                f"{section.title}",
                *(block.text("simple") for block in section.blocks if isinstance(block, Grid)),
            ]
    return "\n\n".join(parts)


def plus_minus(value: float | None, deviation: float | None) -> str:
    """``67.29 ± 0.50``; without a deviation the value alone."""
    if value is None:
        return "-"
    return f"{value:.2f}" if deviation is None else f"{value:.2f} ± {deviation:.2f}"


def images_a_class(shots: int) -> str:
    """As headings and captions say it."""
    return "all training images" if shots == ALL else f"{shots} training image{'s' * (shots > 1)} a class"


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _results(table: Table, comparison: Comparison, compared: bool) -> Grid:
    headers = [comparison.row, "n", *(f"{name} %" for name in METRICS.values())]
    body = [
        [row["method"], str(row["n"]), *(plus_minus(row[key], row[f"{key}_sd"]) for key in METRICS)]
        for row in table.rows
    ]
    if compared:
        headers += [f"ΔWAR to {comparison.reference}", "95 % interval", "p", "p_holm"]
        for line, row in zip(body, table.rows, strict=True):
            line += _difference(row)
    return Grid(headers, body)


def _difference(row: Row) -> list[str]:
    if row["difference"] is None:
        return ["-"] * 4
    interval = f"{row['difference_low']:+.2f} to {row['difference_high']:+.2f}"
    return [f"{row['difference']:+.2f}", interval, f"{row['p']:.4f}", f"{row['p_holm']:.4f}"]


def _recalls(table: Table, comparison: Comparison) -> Grid:
    classnames = comparison.classnames
    body = [
        [row["method"], *(plus_minus(row["recall"][name], row["recall_sd"][name]) for name in classnames)]
        for row in table.rows
    ]
    return Grid([comparison.row, *classnames], body)


def _costs(table: Table, first: str) -> Grid:
    headers = [first, "learnable values", "checkpoint bytes", "training s", "images/s", "peak memory MiB"]
    return Grid(headers, [_cost(row) for row in table.rows])


def _cost(row: dict[str, Any]) -> list[str]:
    memory = row["peak_memory_bytes"]
    return [
        row["method"],
        _number(row["learnable_values"]),
        _number(row["checkpoint_bytes"]),
        _number(row["train_seconds"], 1),
        _number(row["images_per_second"], 1),
        "-" if memory is None else f"{memory / 2**20:,.0f} ({row['peak_memory_of']})",
    ]
