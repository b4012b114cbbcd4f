"""Images in class folders, told by the folders' names and never by their order, as a plain ImageFolder does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mpafer.common.errors import DataError
from mpafer.datasets.items import Item, MissingDataError, Problems, Splits
from mpafer.datasets.walking import find_images, note_outside
from mpafer.prompting.expressions import canonical

SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


def split_folders(folder: Path) -> dict[str, Path]:
    """train, val, test -> its folder, whatever the case; a lone validation folder beside training is the test set."""
    there = {name.lower(): folder / name for name in sorted(os.listdir(folder)) if (folder / name).is_dir()}
    found = {split: there[name] for split, names in SPLITS.items() for name in names if name in there}
    if "val" in found and "test" not in found:
        found["test"] = found.pop("val")
    return found


def class_folders(folder: Path, ids: Mapping[int, str] | None = None, own: Sequence[str] = ()) -> dict[str, str]:
    """Sub-folder's name -> class, sorted by name; hidden folders and the like are passed over.

    Args:
        folder: what holds the class folders.
        ids: the data set's own ids -> class, for folders named by number.
        own: classes beside the known ones.

    Raises:
        DataError: a folder whose name is no class.
    """
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.startswith((".", "__", "mpafer_")) or not (folder / name).is_dir():
            continue
        if ids and name.isdecimal() and int(name) in ids:
            found[name] = ids[int(name)]
        elif name.strip().lower() in own:
            found[name] = name.strip().lower()
        else:
            try:
                found[name] = canonical(name)
            except ValueError as error:
                raise DataError(
                    f"{folder / name} is no class folder: {error}. Rename it or move it away; a class of your own "
                    "needs FERFolder and its text in DATASET.DESCRIPTIONS"
                ) from None
    return found


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
    return [
        Item(f"{folder}/{place}/{file}", classes.index(name))
        for place, name in named.items()
        if name in classes
        for file in find_images(folder / place, problems.skipped)
    ]


def read_splits(
    folder: Path, classes: Sequence[str], problems: Problems, ids: Mapping[int, str] | None = None
) -> Splits | None:
    """Class folders in train/, test/ and perhaps val/, every class in each; None where there is no such pair.

    Raises:
        MissingDataError: by ``problems``: a class without a folder; it is named.
    """
    found = split_folders(folder)
    if not {"train", "test"} <= found.keys():
        return None
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
