"""The one table: unrounded rows, and columns that say how their values are shown and which of them is better."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

Row = dict[str, Any]
SIGNIFICANT = 0.05  # p after Holm, below which a difference bears a mark


@dataclass(frozen=True)
class Column:
    """What a column shows of a row, and where there is a best value, what it is judged by."""

    title: str
    show: Callable[[Row], str]
    value: Callable[[Row], float | None] | None = None  # None: nothing to rank
    lower_is_better: bool = False
    mark: Callable[[Row], bool] | None = None  # whether a row's value bears a mark of significance in LaTeX
    aside: bool = False  # left out in LaTeX, where room is short

    def ranks(self, rows: Sequence[Row]) -> dict[int, int]:
        """Number of a row -> 1 for the best value, 2 for the second, as they are shown: equal ones share a rank."""
        if self.value is None or len(rows) < 2:
            return {}
        shown = [None if (value := self.value(row)) is None else round(value, 2) for row in rows]
        order = sorted({value for value in shown if value is not None}, reverse=not self.lower_is_better)
        places = {value: rank for rank, value in enumerate(order[:2], start=1)}
        return {number: places[value] for number, value in enumerate(shown) if value in places}


@dataclass(frozen=True)
class Table:
    """A table to be read. The first column names the rows and stands left, the others right."""

    columns: list[Column]
    rows: list[Row]
    note: str = ""  # for its caption, where it stands alone

    @property
    def headers(self) -> list[str]:
        return [column.title for column in self.columns]

    @property
    def body(self) -> list[list[str]]:
        return [[column.show(row) for column in self.columns] for row in self.rows]

    def text(self, form: str) -> str:
        """In one of tabulate's formats."""
        sides = ("left", *["right"] * (len(self.columns) - 1))
        rows = [[_cell(entry, form) for entry in row] for row in [self.headers, *self.body]]
        return tabulate(rows[1:], rows[0], tablefmt=form, disable_numparse=True, colalign=sides)


def text(title: str, key: str) -> Column:
    """A value as it is; "-" where there is none."""
    return Column(title, lambda row: "-" if row[key] in (None, "") else str(row[key]))


def number(title: str, key: str, digits: int = 0) -> Column:
    """A number with its thousands apart."""
    return Column(title, lambda row: "-" if row[key] is None else f"{row[key]:,.{digits}f}")


def mean(title: str, key: str, *, lower_is_better: bool = False) -> Column:
    """``67.29 ± 0.50`` of the keys ``key`` and ``key_sd``."""
    return Column(title, lambda row: plus_minus(row[key], row[f"{key}_sd"]), lambda row: row[key], lower_is_better)


def mean_of(title: str, key: str, name: str) -> Column:
    """As `mean`, of one entry of the dictionaries ``key`` and ``key_sd``."""
    return Column(title, lambda row: plus_minus(row[key][name], row[f"{key}_sd"][name]), lambda row: row[key][name])


def plus_minus(value: float | None, deviation: float | None) -> str:
    """``67.29 ± 0.50``; without a deviation the value alone."""
    if value is None:
        return "-"
    return f"{value:.2f}" if deviation is None else f"{value:.2f} ± {deviation:.2f}"


def differences(reference: str) -> list[Column]:
    """Difference to the reference, its interval, p and p after Holm's correction."""

    def shown(form: Callable[[Row], str]) -> Callable[[Row], str]:
        return lambda row: "-" if row["difference"] is None else form(row)

    return [
        Column(f"ΔWAR to {reference}", shown(lambda row: f"{row['difference']:+.2f}"), mark=is_significant),
        Column(
            "95 % interval",
            shown(lambda row: f"{row['difference_low']:+.2f} to {row['difference_high']:+.2f}"),
            aside=True,
        ),
        Column("p", shown(lambda row: f"{row['p']:.4f}"), aside=True),
        Column("p_holm", shown(lambda row: f"{row['p_holm']:.4f}"), aside=True),
    ]


def is_significant(row: Row) -> bool:
    """Whether a row differs from the reference by more than the luck of the test images."""
    return row["p_holm"] is not None and row["p_holm"] < SIGNIFICANT


def as_csv(rows: Sequence[Row]) -> str:
    """Rows with the same keys, unrounded; a dictionary's entries are columns, ``recall_fear``, a list is its words."""
    flat = [_flat(row) for row in rows]
    keys = list(flat[0])
    return csv_text([keys, *([row[key] for key in keys] for row in flat)])


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows of cells as CSV; a text that a spreadsheet would run as a formula begins with a ' there."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    for row in rows:
        cells = map(_no_formula, row)
        writer.writerow([cell.replace("\r", " ") if isinstance(cell, str) else cell for cell in cells])  # CR ends a row
    return file.getvalue()


def _no_formula(cell: Any) -> Any:
    if not isinstance(cell, str) or not cell.startswith(("=", "+", "-", "@", "\t", "\r")) or cell == "-":
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def one_line(text: str) -> str:
    """Its lines with blanks between."""
    return " ".join(text.splitlines())


def _cell(text: str, form: str) -> str:
    """A cell on one line; in Markdown its bars end no cell."""
    return one_line(text).replace("|", r"\|") if form == "github" else one_line(text)


def _flat(row: Row) -> Row:
    flat: Row = {}
    for key, value in row.items():
        if isinstance(value, dict):
            what = key.removesuffix("_sd")
            flat |= {f"{what}_{name}{key[len(what) :]}": entry for name, entry in value.items()}
        else:
            flat[key] = " ".join(map(str, value)) if isinstance(value, list) else value
    return flat
