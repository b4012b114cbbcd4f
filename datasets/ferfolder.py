"""FERFolder: images of anybody's, in class folders or by a list, without any code."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mpafer.common.errors import DataError, OptionError
from mpafer.common.options import option
from mpafer.datasets.columns import SPLIT_NAMES
from mpafer.datasets.fer_dataset import FERDataset, register_dataset
from mpafer.datasets.folders import class_folders, numbered_folders, read_class_folders, split_folders
from mpafer.datasets.items import Item, MissingDataError, Splits, log
from mpafer.datasets.listed import by_split, class_rows, unique
from mpafer.datasets.mirrors import Copy, draw_test, read_copy, read_lists
from mpafer.datasets.numbers import NumberedOptions
from mpafer.datasets.parquet import find_shards
from mpafer.datasets.yolo import find_yolo
from mpafer.prompting.descriptions import load_descriptions
from mpafer.prompting.expressions import CLASSES, canonical, class_key, own_class


@dataclass(frozen=True)
class FERFolderOptions(NumberedOptions):
    """``DATASET``."""

    folder: str = "ferfolder"  # where under ROOT; "" = ROOT itself
    title: str = ""  # what tables and folders of results call it; "" = FERFolder
    list: str = ""  # images and labels: labels.csv with a column split, or train.csv,test.csv; "" = class folders
    test_share: float = option(0.0, least=0.0, most=0.9)  # of a list without a split: so much is tested


@register_dataset
class FERFolder(FERDataset):
    """train/, val/ and test/ of class folders in ROOT/FOLDER, or what DATASET.LIST lists; without train/ a test set.

    The classes are those of training. A test set has the seven basic ones, or all eight with images of contempt, so
    that it fits a model trained elsewhere; DATASET.SUBSAMPLE_CLASSES narrows them.

    Raises:
        DataError: a folder or label of a test set that is no expression and is not described in DATASET.DESCRIPTIONS;
            or a name that is nearly an expression's.
    """

    Options = FERFolderOptions
    options: FERFolderOptions
    tree = """\
train/happiness/*.jpg train/anger/*.jpg ...   (names as in happy, Happiness, angry ...; numbers by DATASET.CLASS_IDS)
val/happiness/*.jpg ...                       (not needed; without test/ it is the test set)
test/happiness/*.jpg ...
or, to test on only,
happiness/*.jpg anger/*.jpg ...
or images anywhere and a list of path, label and split, by DATASET.LIST labels.csv
or YOLO folders (train/images/, train/labels/*.txt, data.yaml), or parquet shards (train-*.parquet ...)
"""
    layouts = {"class folders": ("train", "test")}  # noqa: RUF012
    access = "your own images; name their folder under the data root by DATASET.FOLDER"

    def places(self) -> tuple[str, ...]:
        return (self.options.folder,)

    def read(self, folder: Path) -> Splits | None:
        self.described = list(load_descriptions(self.descriptions)) if self.descriptions else []
        if self.options.list:
            return self.read_copy(folder, Copy(read_lists(folder, self.lists(folder), self.problems), {}))
        splits = None if find_yolo(folder) or find_shards(folder) else self.read_folders(folder)
        if splits is None and (copy := read_copy(folder, self.problems)):
            splits = self.read_copy(folder, copy)
        return splits

    def lists(self, folder: Path) -> list[tuple[Path, str]]:
        """The files of DATASET.LIST and the split of each, "" where one list is to tell it itself.

        Raises:
            MissingDataError: a file that is not there.
            OptionError: of several, one whose name tells no split.
        """
        lists = []
        parts = [part.strip() for part in self.options.list.split(",") if part.strip()]
        for part in parts:
            split, _, name = part.rpartition("=")
            source = folder / Path(name).expanduser()
            if not source.is_file():
                raise MissingDataError(f"no list {source} (DATASET.LIST)")
            words = [split, *re.split(r"[^a-z]+", Path(name).stem.lower())]
            split = next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), split)
            if split not in SPLIT_NAMES and (split or len(parts) > 1):
                raise OptionError(f"DATASET.LIST: {part} tells no split; write train={name}, val= or test=")
            lists.append((source, split if len(parts) > 1 or "=" in part else ""))
        return lists

    def read_copy(self, folder: Path, copy: Copy) -> Splits:
        """Rows of lists, YOLO folders or shards."""
        given = {number: self.own_class(name) for number, name in copy.names.items()}
        numbers = partial(self.number_classes, default="", given=given, name_class=self.own_class)
        rows = unique(class_rows(copy.rows, numbers, self.problems, name_class=self.own_class), self.problems)
        rows = draw_test(rows, folder, self.options.test_share)
        splits = {row.split for row in rows}
        tested = "test" if "test" in splits else "val"
        self.choose_classes({split: {row.label for row in rows if row.split == split} for split in splits}, tested)
        return by_split(rows, self.classes, self.problems.skipped)

    def read_folders(self, folder: Path) -> Splits | None:
        splits = split_folders(folder) or {"test": folder}
        numbered = numbered_folders(splits.values())
        ids = self.number_classes(numbered, "", name_class=self.own_class) if numbered else None
        names = self.own_class if "train" in splits else self.tested_class
        named = {split: class_folders(place, ids, names) for split, place in splits.items()}
        if not any(named.values()):
            return None
        if "test" not in splits:
            raise MissingDataError(f"{folder} has {', '.join(splits)}, but no folder test of class folders")
        self.choose_classes({split: set(folders.values()) for split, folders in named.items()}, "test")
        return {split: self.images(place, named[split]) for split, place in splits.items()}

    def own_class(self, name: str) -> str:
        """The class of a name, which may be one of the user's own."""
        return self.spelled(name, class_key(name) if class_key(name) in self.described else own_class(name))

    def tested_class(self, name: str) -> str:
        """The class of a name where nothing is trained on: a known or a described one."""
        return self.spelled(name, class_key(name) if class_key(name) in self.described else canonical(name))

    def spelled(self, name: str, key: str) -> str:
        """The class ``key``, of which the spelling is kept that comes first: training's."""
        self.spellings.setdefault(key, name.strip())
        return key

    def choose_classes(self, found: Mapping[str, Collection[str]], tested: str) -> None:
        """The classes of training, in the one order, or those of a test set.

        Raises:
            DataError: a test set with a class that is neither known nor described.
        """
        present = set(found["train" if "train" in found else tested])
        if "train" not in found:
            present |= set(CLASSES[:7])
            if foreign := sorted(present - {*CLASSES, *self.described}):
                shown = ", ".join(self.shown(foreign))
                raise DataError(
                    f"{shown}: no expression that we know; a test set's own classes have to be described in "
                    "DATASET.DESCRIPTIONS"
                )
        own = [name for name in self.described if name in present and name not in CLASSES]
        own += sorted(present - {*CLASSES, *own})
        self.classes = tuple(name for name in (*CLASSES, *own) if name in present)
        for split, names in found.items():
            if foreign := self.shown(sorted(set(names) - present)):
                log.warning("%s: %s has %s, which are not among the training classes", self.name, split, foreign)

    def images(self, place: Path, named: dict[str, str]) -> list[Item]:
        items = read_class_folders(place, named, self.classes, self.problems)
        used = {item.impath.removeprefix(f"{place}/").partition("/")[0] for item in items}
        if empty := [name for name, label in named.items() if label in self.classes and name not in used]:
            log.warning("%s: no image in %s of %s", self.name, ", ".join(empty), place)
        return items
