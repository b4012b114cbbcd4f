"""FERFolder: images of anybody's in class folders, without any code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mpafer.common.options import Options
from mpafer.datasets.fer_dataset import FERDataset, register_dataset
from mpafer.datasets.folders import class_folders, read_class_folders, split_folders
from mpafer.datasets.items import Item, MissingDataError, Splits, log
from mpafer.prompting.descriptions import load_descriptions
from mpafer.prompting.expressions import CLASSES


@dataclass(frozen=True)
class FERFolderOptions(Options):
    """``DATASET``."""

    folder: str = "ferfolder"  # where under ROOT; "" = ROOT itself


@register_dataset
class FERFolder(FERDataset):
    """train/, val/ and test/ of class folders in ROOT/FOLDER; without train/, or without splits at all, a test set.

    The classes are those of train/. A test set has the seven basic ones, or all eight with a folder of contempt, so
    that it fits a model trained elsewhere; DATASET.SUBSAMPLE_CLASSES narrows them.

    Raises:
        DataError: a folder whose name is no expression and is not described in DATASET.DESCRIPTIONS.
    """

    Options = FERFolderOptions
    options: FERFolderOptions
    tree = """\
train/happiness/*.jpg train/anger/*.jpg ...   (names as in happy, Happiness, angry ...; numbers are not understood)
val/happiness/*.jpg ...                       (not needed; without test/ it is the test set)
test/happiness/*.jpg ...
or, to test on only,
happiness/*.jpg anger/*.jpg ...
"""
    access = "your own images; name their folder under the data root by DATASET.FOLDER"

    def places(self) -> tuple[str, ...]:
        return (self.options.folder,)

    def read(self, folder: Path) -> Splits | None:
        own = list(load_descriptions(self.descriptions)) if self.descriptions else []
        own = [name for name in own if name not in CLASSES]
        splits = split_folders(folder) or {"test": folder}
        named = {split: class_folders(place, own=own) for split, place in splits.items()}
        if not any(named.values()):
            return None
        if "test" not in splits:
            raise MissingDataError(f"{folder} has {', '.join(splits)}, but no folder test of class folders")
        present = set(named["train" if "train" in splits else "test"].values())
        if "train" not in splits:
            present |= set(CLASSES[:7])
        self.classes = tuple(name for name in (*CLASSES, *own) if name in present)
        for split, folders in named.items():
            if foreign := sorted(set(folders.values()) - present):
                log.warning("%s: %s has %s, which are not among the training classes", self.name, split, foreign)
        return {split: self.images(place, named[split]) for split, place in splits.items()}

    def images(self, place: Path, named: dict[str, str]) -> list[Item]:
        items = read_class_folders(place, named, self.classes, self.problems)
        used = {item.impath.removeprefix(f"{place}/").partition("/")[0] for item in items}
        if empty := [name for name, label in named.items() if label in self.classes and name not in used]:
            log.warning("%s: no image in %s of %s", self.name, ", ".join(empty), place)
        return items
