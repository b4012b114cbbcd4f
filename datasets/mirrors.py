"""Forms in which copies of a data set circulate, whichever set it is: lists, YOLO folders, parquet shards."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mpafer.common.errors import DataError
from mpafer.datasets.columns import SPLIT_NAMES, plain_header
from mpafer.datasets.folders import has_classes, split_folders
from mpafer.datasets.items import MissingDataError, Problems, Splits, log
from mpafer.datasets.listed import by_split, class_rows, drawn, find_files, unique
from mpafer.datasets.parquet import find_shards, read_shards
from mpafer.datasets.tables import Row, Table, read_table
from mpafer.datasets.yolo import find_yolo, read_yolo
from mpafer.prompting.expressions import canonical

if TYPE_CHECKING:
    from mpafer.datasets.fer_dataset import FERDataset

LISTS = ("{}_labels.csv", "{}_label.csv", "labels_{}.csv", "{}.csv", "{}_labels.txt", "{}/labels.csv")
WHOLE = ("labels.csv", "label.csv", "annotations.csv")
IMAGE_PLACES = ("", "images", "Images", "DATASET", "data")
SEED = 1  # of a drawn split


class Copy(NamedTuple):
    """Rows with whole paths and a split each, and number -> class where the copy says it."""

    rows: list[Row]
    names: Mapping[int, str]


def read_copy(folder: Path, problems: Problems) -> Copy | None:
    """The images of the first form that is there, or None."""
    if parts := find_yolo(folder):
        return Copy(*read_yolo(folder, parts, problems))
    if shards := find_shards(folder):
        return Copy(*read_shards(folder, shards))
    if lists := find_lists(folder):
        return Copy(read_lists(folder, lists, problems), {})
    return None


def find_lists(folder: Path) -> list[tuple[Path, str]]:
    """Lists of images and their splits, train_labels.csv and its like; else one list of all, of split ""."""
    there = {name.lower(): name for name in os.listdir(folder)}
    for pattern in LISTS:
        found: dict[str, Path] = {}
        for word, split in SPLIT_NAMES.items():
            place, _, name = pattern.format(word).rpartition("/")
            path = folder / there.get(place, "") / name if place else folder / there.get(name, name)
            if (not place or place in there) and path.is_file():
                found.setdefault(split, path)
        if "train" in found and len(found) > 1:
            return [(path, split) for split, path in found.items()]
    return [(folder / there[name], "") for name in WHOLE if name in there][:1]


def read_lists(folder: Path, lists: Sequence[tuple[Path, str]], problems: Problems) -> list[Row]:
    """The rows of lists whose images are there, with a split each where a list tells it.

    Raises:
        DataError: a path leads out of the folder, or a list is none.
        MissingDataError: none of a list's images is there; or, by ``problems``, some are not.
    """
    rows: list[Row] = []
    for source, split in lists:
        table = read_table(source)
        log.info("reading %s: %s", source, table.said)
        divided = assign_splits(table, split)
        for part in dict.fromkeys(row.split for row in divided):
            own = [row for row in divided if row.split == part]
            rows += find_files(folder, own, image_places(folder, source, part), source, problems)
    return rows


def image_places(folder: Path, source: Path, split: str) -> list[str]:
    """Where a list's paths may start from, relative to the folder."""
    places = [os.path.relpath(source.parent, folder)] if source.parent.is_relative_to(folder) else []
    for base in IMAGE_PLACES:
        if (folder / base).is_dir():
            places.append(base)
            names = [form for word, part in SPLIT_NAMES.items() if part == split for form in (word, word.title())]
            parts = [os.path.join(base, name, inner) for name in names for inner in ("", "images")]
            places += [part for part in parts if (folder / part).is_dir()]
    return list(dict.fromkeys(places))


def assign_splits(table: Table, split: str) -> list[Row]:
    """The rows with a split: the list's own, its column's, its folders'; "" where none of these tells it.

    Raises:
        DataError: two of these differ.
    """
    if split:
        if other := next((row for row in table.rows if row.split not in ("", split)), None):
            raise DataError(f"{other.where} is of {other.split}, in the list of {split}: name one of the two")
        return [row._replace(split=split) for row in table.rows]
    if table.has_splits:
        return table.rows
    tops = [SPLIT_NAMES.get(plain_header(row.file.replace("\\", "/").split("/")[0])) for row in table.rows]
    if all(tops) and set(tops) != {"train"}:
        log.info("%s: the split is the first folder of each path", table.source)
        return [row._replace(split=top or "") for row, top in zip(table.rows, tops, strict=True)]
    return table.rows


def draw_test(rows: Sequence[Row], folder: Path, share: float) -> list[Row]:
    """Rows without a split, or of training alone, divided: DATASET.TEST_SHARE of them is the test set.

    The draw is by each file's name, so that it stays the same whatever else there is.

    Raises:
        MissingDataError: there is no row.
        DataError: the share is 0.
    """
    if not rows:
        raise MissingDataError(f"no image in {folder} has a label that can be used")
    if {row.split for row in rows} - {"", "train"}:
        if share:
            log.warning("DATASET.TEST_SHARE is not used: the split is told in %s", folder)
        return list(rows)
    if not share:
        raise DataError(
            f"nothing in {folder} says which images are tested: give the list a column split (train, val, test), or "
            "set DATASET.TEST_SHARE 0.2, which draws a fifth of them by their names"
        )
    log.info("no split in %s: a share of %g is tested, drawn by the images' names (DATASET.TEST_SHARE)", folder, share)
    return [
        row._replace(split="test" if drawn(os.path.relpath(row.file, folder), share, SEED) else "train") for row in rows
    ]


def read_mirror(
    data: FERDataset, folder: Path, default: str, *, also: Mapping[int, str] | None = None
) -> Splits | None:
    """A data set's images in one of these forms, or None where there is none in a folder named as one of its own.

    Args:
        data: its folders, classes, options and problems are used.
        folder: where to look.
        default: the order of its numbers, see `numbers.number_classes`.
        also: further numbers, whose images are left out.
    """
    if folder.name.lower() not in {Path(name).name.lower() for name in data.folders if name}:
        return None  # the data root, in which other sets lie
    if has_classes(split_folders(folder).get("train", folder / "train")):
        return None  # class folders say it themselves, whatever lists lie beside them
    copy = read_copy(folder, data.problems)
    if copy is None:
        return None
    dropped = frozenset((also or {}).values())
    given = {number: name if name in dropped else canonical(name) for number, name in copy.names.items()}
    numbers = partial(data.number_classes, default=default, also=also, given=given)
    rows = unique(class_rows(copy.rows, numbers, data.problems, dropped=dropped), data.problems)
    rows = draw_test(rows, folder, getattr(data.options, "test_share", 0.0))
    return by_split(rows, data.classes, data.problems.skipped)
