"""From the rows of a list to image files that are there, none of them outside of the data set."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from mpafer.common.errors import DataError
from mpafer.datasets.items import Item, MissingDataError, Problems, log
from mpafer.datasets.tables import Row


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

    best: list[tuple[str, bool]] = []
    for base in bases:
        paths = [inside(folder, base, row) for row in rows]
        found = [(path, is_there(path)) for path in paths]
        if not best or sum(there for _, there in found) > sum(there for _, there in best):
            best = found
    missing = [path for path, there in best if not there]
    if missing:
        first = "\n".join(f"  {path}" for path in missing[:5])
        error = MissingDataError(
            f"{len(missing):,} of the {len(rows):,} images of {source} are missing, the first:\n{first}"
        )
        error.paths = missing
        if len(missing) == len(rows):
            raise error
        problems.report(error)
    return [row._replace(file=path) for row, (path, there) in zip(rows, best, strict=True) if there]


def inside(folder: Path, base: str, row: Row) -> str:
    """The path of a row's image, made whole.

    Raises:
        DataError: it leads out of the data set's folder.
    """
    path = os.path.normpath(os.path.join(folder, base, row.file.replace("\\", "/")))
    root = os.path.normpath(folder)
    if path.startswith(real := os.path.realpath(root) + os.sep):
        path = os.path.join(root, path.removeprefix(real))
    if not path.startswith(root + os.sep):
        raise DataError(
            f"{row.where}: {row.file!r} leads out of the data set's folder {folder}; copy the image into it"
        )
    return path


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
    if repeated:
        log.warning("%s lines repeat an image and its label, as %s; it is taken once", len(repeated), repeated[0].where)
    return list(first.values())


def as_items(rows: Sequence[Row], classes: Sequence[str]) -> list[Item]:
    """Records of the rows of our classes; the others are left out."""
    place = {name: i for i, name in enumerate(classes)}
    return [Item(row.file, place[row.label]) for row in rows if row.label in place]


def drawn(name: str, share: float, seed: int) -> bool:
    """Whether a name is among the ``share`` of names that a seed draws; the same whatever other names there are."""
    return int.from_bytes(sha256(f"{seed} {name}".encode()).digest()[:8], "big") < share * 2**64


def by_split(rows: Sequence[Row], classes: Sequence[str]) -> dict[str, list[Item]]:
    """Split -> records, train and test first."""
    present = {row.split for row in rows}
    chosen: Mapping[str, list[Row]] = {
        split: [row for row in rows if row.split == split] for split in ("train", "val", "test") if split in present
    }
    return {split: as_items(part, classes) for split, part in chosen.items()}
