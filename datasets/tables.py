"""Lists of images and labels as people write them: commas, tabs, semicolons or blanks, with a header or without."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mpafer.common.errors import DataError
from mpafer.common.texts import read_text, readable
from mpafer.datasets.columns import SAMPLE, SPLIT_NAMES, Cells, by_content, by_header, describe, is_header, plain_header
from mpafer.inputs.reading import image_endings

DELIMITERS = {"\t": "tabs", ",": "commas", ";": "semicolons", " ": "blanks"}


class Row(NamedTuple):
    """One line: where it stands, the image's file as it is written, its label, and train, val, test or ""."""

    where: str
    file: str
    label: str
    split: str = ""


@dataclass(frozen=True)
class Table:
    """A list that was read, and in words how."""

    source: Path
    rows: list[Row]
    said: str

    @property
    def has_splits(self) -> bool:
        return any(row.split for row in self.rows)


def read_table(source: Path) -> Table:
    """A list's rows, its columns found by a header's names or else by what stands in them.

    Raises:
        DataError: no text, no row, or columns that cannot be told apart; a line is named where one is at fault.
    """
    delimiter, lines = _cells(source)
    if not lines:
        raise DataError(f"{source} is empty")
    header = is_header(lines[0][1])
    body = lines[1:] if header else lines
    if not body:
        raise DataError(f"{source} has a header and no row")
    columns = by_header(lines[0][1], body) if header else {}
    columns |= {what: place for what, place in by_content(source, body, columns).items() if what not in columns}
    splits = columns.get("split")
    rows = []
    for number, cells in body:
        where = f"{source}, line {number}"
        if len(cells) <= max(columns.values()):
            raise DataError(f"{where}: {len(cells)} columns, but the {describe(columns)} is needed: {cells}")
        if not cells[columns["file"]]:
            raise DataError(f"{where}: no image is named in column {columns['file'] + 1}: {cells}")
        split = "" if splits is None else SPLIT_NAMES.get(plain_header(cells[splits]), "")
        if splits is not None and not split:
            raise DataError(f"{where}: {cells[splits]!r} is no split; known: {', '.join(SPLIT_NAMES)}")
        rows.append(Row(where, cells[columns["file"]], cells[columns["label"]], split))
    titles = dict(enumerate(lines[0][1])) if header else {}
    places = sorted(columns.items(), key=lambda item: item[1])
    names = [f"{what} = column {place + 1} {titles.get(place, '')!r}".removesuffix(" ''") for what, place in places]
    said = f"{len(rows):,} rows, {DELIMITERS[delimiter]}, {'by its header' if header else 'no header'}"
    return Table(source, rows, f"{said}: {', '.join(names)}")


def _cells(source: Path) -> tuple[str, list[Cells]]:
    """The delimiter, and the cells of every line that is not empty."""
    written = re.split(r"\r\n?|\n", read_text(source))
    sample = [line for line in written[:SAMPLE] if line.strip()]
    if not sample:
        raise DataError(f"{source} is empty")
    delimiter = next((mark for mark in "\t,;" if _divides(mark, sample)), " ")
    with readable(source):
        return delimiter, list(_split(written, delimiter))


def _divides(mark: str, lines: Sequence[str]) -> bool:
    """Whether a mark stands between columns: a header has it, whatever rows are short, or every line has."""
    return (mark in lines[0] and is_header(lines[0].split(mark))) or all(mark in line for line in lines)


def _split(written: Sequence[str], delimiter: str) -> Iterator[Cells]:
    if delimiter != " ":
        reader = csv.reader(written, delimiter=delimiter, skipinitialspace=True)
        for row in reader:
            if any(cells := [cell.strip() for cell in row]):
                yield reader.line_num, cells
        return
    endings = re.compile(rf"({'|'.join(map(re.escape, image_endings()))})(?=\s|$)", re.IGNORECASE)
    for number, line in enumerate(written, start=1):
        if not line.strip():
            continue
        ending = endings.search(line)  # a name may have blanks in it
        cut = ending.end() if ending else len(line.split()[0]) + len(line) - len(line.lstrip())
        yield number, [line[:cut].strip(), *line[cut:].split()]
