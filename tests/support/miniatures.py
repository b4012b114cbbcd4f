"""Tiny data sets in the layouts that circulate: true names and syntax, invented labels, images of noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

BOX = (10.5, 8.0, 90.0, 100.0)  # x_min y_min x_max y_max in the originals of 160 x 120
ORIGINAL_SIZE = (160, 120)


@dataclass(frozen=True)
class RAFLayout:
    """`base` is the folder that holds EmoLabel/ and Image/, or train/ and test/."""

    base: str = "RAF-DB/basic"
    list_name: str = "list_patition_label.txt"
    list_format: str = "{stem}.jpg {label}"
    newline: str = "\n"
    blank_line: bool = False
    images: str = "Image/aligned"  # "" = class folders
    image_name: str = "{stem}_aligned.jpg"
    boxes: str = ""
    box_name: str = "{stem}_boundingbox.txt"


RAFDB_LAYOUTS = {
    "official": RAFLayout(),
    "RAF": RAFLayout(base="RAF/basic"),
    "rafdb": RAFLayout(base="rafdb"),
    "raf-basic": RAFLayout(base="raf-basic"),
    "root is RAF-DB": RAFLayout(base="basic"),
    "root is basic": RAFLayout(base="."),
    "other spelling": RAFLayout(list_name="list_partition_label.txt"),
    "CRLF": RAFLayout(newline="\r\n", blank_line=True),
    "unzipped deeper": RAFLayout(images="Image/aligned/aligned"),
    "re-aligned": RAFLayout(images="Image/aligned_224", image_name="{stem}.jpg"),
    "aligned names": RAFLayout(list_format="{stem}_aligned.jpg {label}"),
    "originals": RAFLayout(images="Image/original", image_name="{stem}.jpg", boxes="Annotation/boundingbox"),
    "originals deeper": RAFLayout(
        images="Image/original/imgs",
        image_name="{stem}.jpg",
        boxes="Annotation/boundingbox",
        box_name="{stem}.txt",
    ),
    "class folders": RAFLayout(base="RAF-DB/DATASET", images=""),
    "class folders at root": RAFLayout(base=".", images=""),
}


def rafdb_rows(train: int = 2, test: int = 1) -> list[tuple[str, int]]:
    """Image stems and ids 1..7: training rows first, classes mixed, `train` and `test` images per class."""
    rng = np.random.default_rng(0)
    rows = []
    for split, per_class, digits in (("train", train, 5), ("test", test, 4)):
        ids = rng.permutation(np.repeat(np.arange(1, 8), per_class))
        rows += [(f"{split}_{i:0{digits}d}", int(label)) for i, label in enumerate(ids, start=1)]
    return rows


def make_rafdb(root: Path, layout: str = "official", train: int = 2, test: int = 1) -> Path:
    """RAF-DB under `root`, which is to be DATASET.ROOT; returns the folder that holds EmoLabel/ or train/."""
    form = RAFDB_LAYOUTS[layout]
    base = root / form.base
    rows = rafdb_rows(train, test)
    for number, (stem, label) in enumerate(rows):
        folder = form.images or f"{stem.split('_')[0]}/{label}"
        size = ORIGINAL_SIZE if form.boxes else (100, 100)
        noise(base / folder / form.image_name.format(stem=stem), size, number)
        if form.boxes:
            write(base / form.boxes / form.box_name.format(stem=stem), " ".join(map(str, BOX)) + "\n")
    if form.images:
        lines = [form.list_format.format(stem=stem, label=label) for stem, label in rows]
        if form.blank_line:
            lines.insert(3, "")
        write(base / "EmoLabel" / form.list_name, form.newline.join(lines))  # no newline at the end, as in the real one
    return base


def make_sketchfer(root: Path, train: int = 80, test: int = 40) -> Path:
    """The real drawn faces, fewer of them: a complete set of any size is taken. Returns its folder."""
    from mpafer.sketch import generate_dataset

    return generate_dataset(root, train=train, test=test, workers=1)


def noise(path: Path, size: tuple[int, int], seed: int) -> None:
    """A colour image of noise, width x height, in the format of the path's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())  # bytes, so that CRLF stays what it is
