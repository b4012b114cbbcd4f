"""RAF-DB, the basic (single-label) part.

Li, Deng and Du, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition in
the Wild", CVPR 2017. Read in the official layout, with what unzipping and well-known projects make of it, and
as the mirror in class folders.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from mpafer.common.texts import read_text
from mpafer.datasets.crops import crop_faces
from mpafer.datasets.fer_dataset import FERDataset, register_dataset
from mpafer.datasets.folders import has_classes, read_splits
from mpafer.datasets.items import Item, MissingDataError, Problems, Splits, locate
from mpafer.datasets.mirrors import read_mirror
from mpafer.datasets.numbers import NumberedOptions
from mpafer.datasets.rafdb_lists import find_rows

# The zip files bear their folder's name, so many people unpack them one level deeper. `aligned_224` is the
# re-alignment of CEPrompt and APViT, boxes without a suffix are CD-FER's.
ALIGNED = (
    "aligned/{}_aligned.jpg",
    "aligned/aligned/{}_aligned.jpg",
    "aligned_224/{}.jpg",
    "aligned_224/{}_aligned.jpg",
)
ORIGINAL = ("original/{}.jpg", "original/original/{}.jpg", "original/imgs/{}.jpg")
BOXES = (
    "boundingbox/{}_boundingbox.txt",
    "boundingbox/boundingbox/{}_boundingbox.txt",
    "boundingbox/{}.txt",
)


@register_dataset
class RAFDB(FERDataset):
    Options = NumberedOptions
    folders = ("RAF-DB", "RAF", "RAFDB", "rafdb", "raf-db", "raf-basic", "basic", "")
    published = {  # noqa: RUF012
        "train": (1290, 281, 717, 4772, 1982, 705, 2524),
        "test": (329, 74, 160, 1185, 478, 162, 680),
    }
    tree = """\
RAF-DB/ (or RAF/, rafdb/, raf-basic/; or the folder itself)
  basic/ (or its contents right here)
    EmoLabel/list_patition_label.txt (or train.txt and test.txt; or CEPrompt's images.txt, image_class_labels.txt,
      train_test_split.txt)
    Image/aligned/train_00001_aligned.jpg ... test_3068_aligned.jpg
or, without aligned images, the faces being cut out once along the annotated boxes,
    Image/original/train_00001.jpg ...
    Annotation/boundingbox/train_00001_boundingbox.txt ...
or, in class folders with the official ids 1 to 7 or with names,
  DATASET/{train,test}/{1,2,3,4,5,6,7}/*.jpg (or train/ and test/ right here; or train/happy/ ...)
or train/*.jpg with train_labels.csv, test/*.jpg with test_labels.csv; or parquet shards
"""
    layouts = {  # noqa: RUF012
        "the official layout": ("basic/EmoLabel/list_patition_label.txt", "basic/Image/aligned"),
        "the official layout without basic/": ("EmoLabel/list_patition_label.txt", "Image/aligned"),
        "class folders": ("DATASET/train/1", "DATASET/test/1"),
        "class folders without DATASET/": ("train/1", "test/1"),
        "flat folders with lists": ("train", "train_labels.csv", "test", "test_labels.csv"),
    }
    access = "free for non-commercial research, by e-mail to the authors: http://www.whdeng.cn/RAF/model1.html"

    def read(self, folder: Path) -> Splits | None:
        for place in (folder, folder / "basic"):
            if (splits := read_official(place, self.classes, self.numbers, self.problems)) is not None:
                return splits
        for place in (folder, folder / "DATASET"):
            if has_classes(place / "train"):
                return read_splits(place, self.classes, self.problems, self.numbers)
        return read_mirror(self, folder, "rafdb")

    def numbers(self, present: Collection[int]) -> Mapping[int, str]:
        """What the ids of the list or folders mean."""
        return self.number_classes(present, "rafdb")


def read_official(
    folder: Path, classes: Sequence[str], numbers: Callable[[Collection[int]], Mapping[int, str]], problems: Problems
) -> Splits | None:
    """A list of names and labels, and aligned images of these names; else faces cut out of the originals.

    Args:
        folder: what holds EmoLabel/ and Image/; without a list in it there is nothing to read: None.
        classes: in the order of the labels.
        numbers: asked for number -> class.
        problems: told of what is missing or wrong.
    """
    found = find_rows(folder / "EmoLabel", classes, numbers, problems)
    if found is None:
        return None
    source, rows = found
    stems = list(rows)
    paths = locate(folder / "Image", ALIGNED, stems, source, problems)
    if paths is None and (originals := locate(folder / "Image", ORIGINAL, stems, source, problems)):
        boxes = locate(folder / "Annotation", BOXES, stems, source, problems)
        if boxes is None:
            raise MissingDataError(
                f"RAF-DB: no aligned images, and no boxes to cut the originals with: expected "
                f"{folder}/Annotation/boundingbox/{stems[0]}_boundingbox.txt and so on"
            )
        try:
            texts = [read_text(Path(box)) for box in boxes]
            paths = crop_faces(originals, texts, boxes, folder / "Image", problems)
        except (OSError, ValueError) as error:
            problems.report(error)
            paths = originals
    if paths is None:
        raise MissingDataError(
            f"{source} is there, but none of its images: expected "
            f"{folder}/Image/aligned/{stems[0]}_aligned.jpg and so on "
            f"(or aligned/aligned/, aligned_224/, or original/ with Annotation/boundingbox/)"
        )
    splits: Splits = {"train": [], "test": []}
    for stem, path in zip(stems, paths, strict=True):
        splits[stem.split("_")[0]].append(Item(path, rows[stem]))
    return splits
