"""Images in class folders, told by the folders' names and never by their order, as a plain ImageFolder does."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from mpafer.common.errors import DataError
from mpafer.datasets.items import Item, MissingDataError, Problems, Splits
from mpafer.datasets.numbers import CURE
from mpafer.datasets.walking import Skipped, find_images, note_outside
from mpafer.prompting.expressions import canonical, is_expression

SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


def split_folders(folder: Path) -> dict[str, Path]:
    """train, val, test -> its folder, whatever the case; a lone validation folder beside training is the test set."""
    there = {name.lower(): folder / name for name in sorted(os.listdir(folder)) if (folder / name).is_dir()}
    found = {split: there[name] for split, names in SPLITS.items() for name in names if name in there}
    if "val" in found and "test" not in found:
        found["test"] = found.pop("val")
    return found


def class_folders(
    folder: Path, ids: Mapping[int, str] | None = None, name_class: Callable[[str], str] = canonical
) -> dict[str, str]:
    """Sub-folder's name -> class, sorted by name; hidden folders and the like are passed over.

    Args:
        folder: what holds the class folders.
        ids: the data set's own ids -> class, for folders named by number.
        name_class: name -> class; it raises a DataError for what is none.

    Raises:
        DataError: a folder whose name is no class.
    """
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.startswith((".", "__", "mpafer_")) or not (folder / name).is_dir():
            continue
        if name.isdecimal():
            if int(name) not in (ids or {}):
                raise DataError(f"{folder / name} is no class folder: no class has the number {name}; {CURE}")
            found[name] = (ids or {})[int(name)]
        else:
            try:
                found[name] = name_class(name)
            except ValueError as error:
                raise DataError(
                    f"{folder / name} is no class folder: {error}. Rename it or move it away; a class of your own "
                    "needs FERFolder, and to be trained on or described in DATASET.DESCRIPTIONS"
                ) from None
    return found


def has_classes(folder: Path) -> bool:
    """Whether a folder's sub-folders are classes, by numbers or by names: then it is meant to hold such."""
    if not folder.is_dir():
        return False
    names = [name for name in os.listdir(folder) if not name.startswith((".", "_")) and (folder / name).is_dir()]
    return bool(names) and sum(name.isdecimal() or is_expression(name) for name in names) > len(names) / 2


def numbered_folders(places: Iterable[Path]) -> set[int]:
    """The numbers that folders are named by, in any of the places."""
    paths = [place / name for place in places for name in os.listdir(place) if name.isdecimal()]
    return {int(path.name) for path in paths if path.is_dir()}


def read_class_folders(
    folder: Path, named: Mapping[str, str], classes: Sequence[str], problems: Problems
) -> list[Item]:
    """The images at any depth in the class folders of `classes`, sorted by folder and path.

    Args:
        folder: what holds the class folders.
        named: as from `class_folders`.
        classes: canonical names in label order.
        problems: its ``skipped`` is told of what is not used.
    """
    note_outside(folder, problems.skipped)
    for place, name in named.items():
        for file in find_images(folder / place, Skipped()) if name not in classes else ():
            problems.skipped.leave_out_class(name, f"{folder}/{place}/{file}")
    return [
        Item(f"{folder}/{place}/{file}", classes.index(name))
        for place, name in named.items()
        if name in classes
        for file in find_images(folder / place, problems.skipped)
    ]


def read_splits(
    folder: Path,
    classes: Sequence[str],
    problems: Problems,
    number_classes: Callable[[Collection[int]], Mapping[int, str]] | None = None,
) -> Splits | None:
    """Class folders in train/, test/ and perhaps val/, every class in each; None where there is no such pair.

    Args:
        folder: what holds the splits' folders.
        classes: those wanted.
        problems: told of what is missing.
        number_classes: asked for number -> class where folders are named by number.

    Raises:
        MissingDataError: by ``problems``: a class without a folder; it is named.
    """
    found = split_folders(folder)
    if not {"train", "test"} <= found.keys():
        return None
    present = numbered_folders(found.values())
    ids = number_classes(present) if present and number_classes else None
    named = {split: class_folders(place, ids) for split, place in found.items()}
    if not named["train"]:
        return None
    for split, place in found.items():
        numbers = {name: str(number) for number, name in (ids or {}).items()}
        numbered = any(name.isdecimal() for name in named[split])
        for name in classes:
            if name not in named[split].values():
                missing = place / (numbers[name] if numbered else name)
                problems.report(MissingDataError(f"no folder {missing} for the images of {name}"))
    return {split: read_class_folders(place, named[split], classes, problems) for split, place in found.items()}
