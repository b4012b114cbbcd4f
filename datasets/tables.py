"""Lists of images and labels as people write them: commas, tabs, semicolons or blanks, with a header or without."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mpafer.common.errors import DataError
from mpafer.datasets.items import IMAGES
from mpafer.prompting.expressions import is_expression

# Names of columns, in lower case and without "_", "-", "." and blanks.
HEADERS = {
    "file": ("image", "path", "file", "filename", "filepath", "imagepath", "imagename", "imagefile", "img", "imgpath",
             "imgname", "imagefilename", "pth", "name", "subdirectoryfilepath"),
    "label": ("label", "emotion", "expression", "class", "classname", "category", "labelname", "emotionlabel",
              "target", "labels", "labelid", "classid"),
    "split": ("split", "subset", "usage", "partition", "set", "phase", "part"),
}  # fmt: skip
SPLIT_NAMES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "publictest": "val", "test": "test", "testing": "test", "privatetest": "test",
}  # fmt: skip
DELIMITERS = {"\t": "tabs", ",": "commas", ";": "semicolons", " ": "blanks"}
SAMPLE = 1000  # rows that the guess is made from
ENDING = re.compile(rf"({'|'.join(map(re.escape, IMAGES))})(?=\s|$)", re.IGNORECASE)
NUMBER = re.compile(r"(\d+)(?:\.0*)?")  # pandas writes 3 as 3.0; 3.7 is no number of a class

Cells = tuple[int, list[str]]  # a line's number, its cells


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


def class_number(label: str) -> int | None:
    """The number that a label is, or None where it is none: 3 and 3.0 are, 3.7 is not."""
    match = NUMBER.fullmatch(label.strip())
    return int(match[1]) if match else None


def is_number(label: str) -> bool:
    """Whether a label is written as a number, of a class or not."""
    try:
        float(label)
    except ValueError:
        return False
    return True


def read_table(source: Path) -> Table:
    """A list's rows, its columns found by a header's names or else by what stands in them.

    Raises:
        DataError: no text, no row, or columns that cannot be told apart; a line is named where one is at fault.
    """
    delimiter, lines = _cells(source)
    header = _header(lines[0][1])
    body = lines[1:] if header else lines
    if not body:
        raise DataError(f"{source} has a header and no row")
    columns = _by_header(lines[0][1], body) if header else {}
    columns |= {what: place for what, place in _by_content(source, body, columns).items() if what not in columns}
    splits = columns.get("split")
    rows = []
    for number, cells in body:
        where = f"{source}, line {number}"
        if len(cells) <= max(columns.values()):
            raise DataError(f"{where}: {len(cells)} columns, but the {_said(columns)} is needed: {cells}")
        split = "" if splits is None else SPLIT_NAMES.get(plain_header(cells[splits]), "")
        if splits is not None and not split:
            raise DataError(f"{where}: {cells[splits]!r} is no split; known: {', '.join(SPLIT_NAMES)}")
        rows.append(Row(where, cells[columns["file"]], cells[columns["label"]], split))
    names = [f"{what} = column {place + 1}" for what, place in sorted(columns.items(), key=lambda item: item[1])]
    if header:
        names = [f"{name} {lines[0][1][columns[name.split()[0]]]!r}" for name in names]
    said = f"{len(rows):,} rows, {DELIMITERS[delimiter]}, {'by its header' if header else 'no header'}"
    return Table(source, rows, f"{said}: {', '.join(names)}")


def _cells(source: Path) -> tuple[str, list[Cells]]:
    """The delimiter, and the cells of every line that is not empty."""
    try:
        text = source.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{source} is no text in UTF-8: {error}") from None
    if "\0" in text:
        raise DataError(f"{source} is no text: it has NUL bytes in it")
    written = re.split(r"\r\n?|\n", text)
    sample = [line for line in written[:SAMPLE] if line.strip()]
    if not sample:
        raise DataError(f"{source} is empty")
    delimiter = next((mark for mark in "\t,;" if all(mark in line for line in sample)), " ")
    try:
        lines = list(_split(written, delimiter))
    except csv.Error as error:
        raise DataError(f"{source} cannot be read as a table: {error}") from None
    return delimiter, lines


def _split(written: Sequence[str], delimiter: str) -> Iterator[Cells]:
    if delimiter != " ":
        reader = csv.reader(written, delimiter=delimiter, skipinitialspace=True)
        for row in reader:
            if any(cells := [cell.strip() for cell in row]):
                yield reader.line_num, cells
        return
    for number, line in enumerate(written, start=1):
        if not line.strip():
            continue
        ending = ENDING.search(line)  # a name may have blanks in it
        cut = ending.end() if ending else len(line.split()[0]) + len(line) - len(line.lstrip())
        yield number, [line[:cut].strip(), *line[cut:].split()]


def plain_header(text: str) -> str:
    """A column's name, or a split's, without case and what separates words."""
    return re.sub(r"[\s_.\-]", "", text.lower())


def _is_file(cell: str) -> bool:
    return cell.lower().endswith(IMAGES)


def _header(first: Sequence[str]) -> bool:
    """Whether the first line is one: it names a column of ours, and no picture."""
    known = {name for names in HEADERS.values() for name in names}
    return any(plain_header(cell) in known for cell in first) and not any(map(_is_file, first))


def _by_header(first: Sequence[str], body: Sequence[Cells]) -> dict[str, int]:
    """Columns that the header names; of several labels the one that holds names rather than numbers."""
    columns = {}
    for what, names in HEADERS.items():
        places = [place for place, cell in enumerate(first) if plain_header(cell) in names]
        places.sort(key=lambda place: names.index(plain_header(first[place])))
        if what == "label":
            places.sort(key=lambda place: not all(map(is_expression, _column(body, place))))
        if places:
            columns[what] = places[0]
    return columns


def _column(body: Sequence[Cells], place: int) -> list[str]:
    return [cells[place] for _, cells in body[:SAMPLE] if place < len(cells)]


def _by_content(source: Path, body: Sequence[Cells], known: dict[str, int]) -> dict[str, int]:
    """Columns that their contents tell: the picture and the label must be, the split may."""
    width = max(len(cells) for _, cells in body[:SAMPLE])
    free = [place for place in range(width) if place not in known.values()]
    columns = dict(known)

    def take(what: str, places: Sequence[int]) -> None:
        if what not in columns and places:
            columns[what] = places[0]
            free.remove(places[0])

    take("file", [place for place in free if all(map(_is_file, _column(body, place)))])
    take("split", [place for place in free if all(plain_header(cell) in SPLIT_NAMES for cell in _column(body, place))])
    take("label", [place for place in free if all(map(is_expression, _column(body, place)))])
    numbers = [place for place in free if all(class_number(cell) is not None for cell in _column(body, place))]
    if "label" not in columns and len(free) > 1 and len(numbers) != 1:
        raise DataError(
            f"{source}: which of its {width} columns is the label cannot be told; give it a header, such as "
            f"path,label,split (its first row: {body[0][1]})"
        )
    take("label", numbers or free)
    take("file", free)
    if missing := [name for what, name in (("file", "images"), ("label", "labels")) if what not in columns]:
        raise DataError(
            f"{source}: no column of {' and of '.join(missing)} among {width}; give it a header, such as "
            f"path,label,split (its first row: {body[0][1]})"
        )
    return columns


def _said(columns: dict[str, int]) -> str:
    what, place = max(columns.items(), key=lambda item: item[1])
    return f"{what} in column {place + 1}"
