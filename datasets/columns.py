"""What the columns of a list are: told by a header's names, or else by what stands in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mpafer.common.errors import DataError
from mpafer.inputs.reading import image_endings
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
LONGEST = 255  # letters of a file's path
SAMPLE = 1000  # rows that the guess is made from
NUMBER = re.compile(r"(\d{1,9})(?:\.0*)?")  # pandas writes 3 as 3.0; 3.7 is no number of a class

Cells = tuple[int, list[str]]  # a line's number, its cells


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


def plain_header(text: str) -> str:
    """A column's name, or a split's, without case and what separates words."""
    return re.sub(r"[\s_.\-]", "", text.lower())


def _is_file(cell: str) -> bool:
    return cell.lower().endswith(image_endings())


def is_header(first: Sequence[str]) -> bool:
    """Whether the first line is one: it names a column of ours, and no picture."""
    known = {name for names in HEADERS.values() for name in names}
    return any(plain_header(cell) in known for cell in first) and not any(map(_is_file, first))


def by_header(first: Sequence[str], body: Sequence[Cells]) -> dict[str, int]:
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


def by_content(source: Path, body: Sequence[Cells], known: dict[str, int]) -> dict[str, int]:
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
    take("file", [place for place in free if all(len(cell) <= LONGEST for cell in _column(body, place))])
    if missing := [name for what, name in (("file", "images"), ("label", "labels")) if what not in columns]:
        raise DataError(
            f"{source}: no column of {' and of '.join(missing)} among {width}; give it a header, such as "
            f"path,label,split (its first row: {body[0][1]})"
        )
    return columns


def describe(columns: dict[str, int]) -> str:
    what, place = max(columns.items(), key=lambda item: item[1])
    return f"{what} in column {place + 1}"
