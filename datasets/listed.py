"""From the rows of a list to image files that are there, none of them outside of the data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from mpafer.common.errors import DataError
from mpafer.datasets.columns import class_number, is_number
from mpafer.datasets.items import Item, MissingDataError, Problems, Splits
from mpafer.datasets.numbers import CURE
from mpafer.datasets.tables import Row
from mpafer.datasets.walking import Skipped
from mpafer.prompting.expressions import canonical, plain_name

REPEATED = "lines repeat an image and its label"
SAMPLE = 500  # rows by which the folder is found that a list's paths start from


def find_files(folder: Path, rows: Sequence[Row], bases: Sequence[str], source: Path, problems: Problems) -> list[Row]:
    """The rows whose image is there, with its whole path; each folder is listed once.

    Args:
        folder: the data set's.
        rows: of one list.
        bases: folders under it that the rows' paths may start from; the one with most of the images is taken.
        source: the list, for the message.
        problems: told of what is missing.

    Raises:
        DataError: a path that leads out of the folder; its line is named.
        MissingDataError: no image is there; or, by ``problems``, some are not: their number and the first.
    """
    listings: dict[str, set[str]] = {}

    def is_there(path: str) -> bool:
        place, name = os.path.split(path)
        if place not in listings:
            listings[place] = set(os.listdir(place)) if os.path.isdir(place) else set()
        return name in listings[place]

    root, real = os.path.normpath(folder), os.path.realpath(folder)
    sample = rows[:: len(rows) // SAMPLE + 1]
    base = max(bases, key=lambda base: sum(is_there(inside(root, real, base, row.file)) for row in sample))
    found = []
    for row in rows:
        path = inside(root, real, base, row.file)
        if not path:
            raise DataError(f"{row.where}: {row.file!r} leads out of the data set {folder}; copy the image into it")
        found.append(path)
    missing = [path for path in found if not is_there(path)]
    if missing:
        first = "\n".join(f"  {path}" for path in missing[:5])
        error = MissingDataError(
            f"{len(missing):,} of the {len(rows):,} images of {source} are missing, the first:\n{first}"
        )
        error.paths = missing
        if len(missing) == len(rows):
            raise error
        problems.report(error)
    lost = set(missing)
    return [row._replace(file=path) for row, path in zip(rows, found, strict=True) if path not in lost]


def inside(folder: str, real: str, base: str, file: str) -> str:
    """The path of an image, made whole; "" where it leads out of the data set's folder, whose `real` path is told."""
    path = os.path.normpath(os.path.join(folder, base, file.replace("\\", "/")))
    if path.startswith(real + os.sep):
        path = folder + path.removeprefix(real)
    return path if path.startswith(folder + os.sep) else ""


def unique(rows: Sequence[Row], problems: Problems) -> list[Row]:
    """Each image once; `label` has to be the class by now.

    Raises:
        DataError: by ``problems``: an image with two classes, or in two splits; both lines are named.
    """
    first: dict[str, Row] = {}
    repeated = []
    for row in rows:
        earlier = first.setdefault(row.file, row)
        if earlier is row:
            continue
        if (earlier.label, earlier.split) == (row.label, row.split):
            repeated.append(row)
            continue
        was, now = (f"{one.label} {one.split}".strip() for one in (earlier, row))
        problems.report(
            DataError(f"{row.where}: {row.file} is {now} there, and {was} in {earlier.where}; keep one of the lines")
        )
    for row in repeated:
        problems.skipped.add(REPEATED, row.where)
    return list(first.values())


Numbers = Callable[[Collection[int]], Mapping[int, str]]  # numbers that occur -> number -> class


def class_rows(
    rows: Sequence[Row],
    numbers: Numbers,
    problems: Problems,
    *,
    name_class: Callable[[str], str] = canonical,
    dropped: Collection[str] = (),
) -> list[Row]:
    """The rows with their label's class in place of the label.

    Args:
        rows: of all lists of a data set, since one order of numbers holds for all of them.
        numbers: asked once, with all the numbers there are.
        problems: told of labels that are none.
        name_class: name -> class; it raises a DataError for what is none.
        dropped: names that are no class: their rows are left out, and counted.

    Raises:
        DataError: by ``problems``: a label that is no class; its line is named.
    """
    given = {row.label: class_number(row.label) for row in rows}
    numbered = {number for number in given.values() if number is not None}
    classes: dict[str, str] = {}
    ids = numbers(numbered) if numbered else {}
    if ids:
        classes = {label: ids[number] for label, number in given.items() if number is not None and number in ids}
    named = []
    for row in rows:
        label = row.label
        if not label:
            problems.report(DataError(f"{row.where}: {row.file} has no label; write it there, or delete the line"))
            continue
        if label not in classes and is_number(label):
            known = f" ({min(ids)} to {max(ids)}): {CURE}" if ids else ""
            problems.report(DataError(f"{row.where}: {label!r} is neither a class nor the number of one{known}"))
            continue
        if label not in classes and plain_name(label) in dropped:
            classes[label] = plain_name(label)
        if label not in classes:
            try:
                classes[label] = name_class(label)
            except DataError as error:
                problems.report(DataError(f"{row.where}: {error}"))
                continue
        if classes[label] in dropped:
            problems.skipped.leave_out_class(classes[label], row.file)
        else:
            named.append(row._replace(label=classes[label]))
    return named


def as_items(rows: Sequence[Row], classes: Sequence[str]) -> list[Item]:
    """Records of the rows of our classes; the others are left out."""
    place = {name: i for i, name in enumerate(classes)}
    return [Item(row.file, place[row.label]) for row in rows if row.label in place]


def drawn(name: str, share: float, seed: int) -> bool:
    """Whether a name is among the ``share`` of names that a seed draws; the same whatever other names there are."""
    return int.from_bytes(sha256(f"{seed} {name}".encode()).digest()[:8], "big") < share * 2**64


def by_split(rows: Sequence[Row], classes: Sequence[str], skipped: Skipped) -> Splits:
    """Split -> records of our classes; a validation part without a test part is the test set, as with folders."""
    found = {
        split: as_items([row for row in rows if row.split == split], classes)
        for split in ("train", "val", "test")
        if any(row.split == split for row in rows)
    }
    for row in rows:
        if row.label not in classes:
            skipped.leave_out_class(row.label, row.file)
    if "test" not in found:
        found["test"] = found.pop("val", [])
    return found
