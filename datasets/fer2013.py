"""FER2013, with its official training, validation (PublicTest) and test (PrivateTest) parts.

Goodfellow et al., "Challenges in Representation Learning: A Report on Three Machine Learning Contests", 2013. Read
from the CSV of pixels, or from the mirror in class folders.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from mpafer.datasets.fer_dataset import FERDataset, register_dataset
from mpafer.datasets.folders import read_splits
from mpafer.datasets.items import Item, Splits
from mpafer.datasets.labels import FER2013_IDS, in_order
from mpafer.datasets.mirrors import read_mirror
from mpafer.datasets.numbers import NumberedOptions, class_of
from mpafer.datasets.pixels import Row, read_pixels
from mpafer.prompting.expressions import CLASSES

PIXEL_FILES = ("fer2013.csv", "icml_face_data.csv", "fer2013/fer2013.csv")
FOLDERS = ("fer2013", "FER2013", "fer-2013", "FER-2013", "ferplus", "FERPlus", "")


def find_pixels(folder: Path) -> tuple[Path, list[Row]] | None:
    """The CSV of pixels in a folder, and its rows."""
    source = next((folder / name for name in PIXEL_FILES if (folder / name).is_file()), None)
    return (source, read_pixels(source, len(FER2013_IDS))) if source else None


@register_dataset
class FER2013(FERDataset):
    Options = NumberedOptions
    folders = FOLDERS
    published = {  # noqa: RUF012
        "train": in_order(FER2013_IDS, (3995, 436, 4097, 7215, 4830, 3171, 4965), CLASSES[:7]),
        "val": in_order(FER2013_IDS, (467, 56, 496, 895, 653, 415, 607), CLASSES[:7]),
        "test": in_order(FER2013_IDS, (491, 55, 528, 879, 594, 416, 626), CLASSES[:7]),
    }
    tree = """\
fer2013/ (or FER2013/; or its contents right here)
  fer2013.csv (emotion,pixels,Usage; or icml_face_data.csv)
or, in class folders,
  train/{angry,disgust,fear,happy,neutral,sad,surprise}/*.jpg
  test/angry/PrivateTest_*.jpg ... PublicTest_*.jpg (the latter are the validation images)
or parquet shards (data/train-*.parquet, test-*.parquet, perhaps validation)
"""
    layouts = {  # noqa: RUF012
        "the CSV of pixels": ("fer2013.csv",),
        "class folders": ("train/angry", "test/angry"),
        "parquet shards": ("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"),
    }
    access = "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge"

    def read(self, folder: Path) -> Splits | None:
        if found := find_pixels(folder):
            ids = self.numbers(FER2013_IDS)
            items: Splits = {"train": [], "val": [], "test": []}
            for row in found[1]:
                if (name := class_of(ids, row.emotion)) in self.classes:
                    items[row.split].append(Item(row.impath, self.classes.index(name)))
                else:
                    self.problems.skipped.leave_out_class(name, row.impath)
            return items
        if "plus" in folder.name.lower():
            return None  # class folders there are FERPlus's labels
        if mirror := read_mirror(self, folder, "fer2013"):
            return mirror
        splits = read_splits(folder, self.classes, self.problems, self.numbers) or {}
        if splits and "val" not in splits:  # the mirror's test images are both parts, told apart by their names
            public = [os.path.basename(item.impath).startswith("PublicTest") for item in splits["test"]]
            splits["val"] = [item for item, is_public in zip(splits["test"], public, strict=True) if is_public]
            splits["test"] = [item for item, is_public in zip(splits["test"], public, strict=True) if not is_public]
        return splits or None

    def numbers(self, present: Collection[int]) -> Mapping[int, str]:
        """What the ids of the CSV or folders mean."""
        return self.number_classes(present, "fer2013")
