"""CSV files of 48 x 48 grey pixels (FER2013 and its kin), decoded once into PNG files.

A record holds an image file: prototypes look at its contents, results and predictions name it, and
Dassl's own loader opens it. So the pixels become files, not a path of a special kind that each reader has to know.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from mpafer.common.errors import DataError
from mpafer.common.files import keep_folder
from mpafer.common.progress import progress
from mpafer.common.texts import readable
from mpafer.datasets.remembered import kept, remembered, save_image

SIDE = 48
USAGES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}


class Row(NamedTuple):
    """One image: its file, the emotion's id in the CSV, and train, val or test."""

    impath: str
    emotion: int
    split: str


def read_pixels(source: Path, emotions: int) -> list[Row]:
    """The rows of a CSV with the columns emotion, pixels and Usage, in any order.

    The images are kept as 00000.png ... (the row, from 0) in mpafer_pixels/KEY beside the CSV, or, that being
    read-only, in the user's cache; KEY is of the CSV's bytes, so that it is the same wherever the file lies.

    Args:
        source: the CSV.
        emotions: number of ids; they are 0 to ``emotions`` - 1.

    Raises:
        DataError: a column is missing, or a row is not as it should be; its line is named.
    """

    def scan() -> list[list[object]]:
        digest = hashlib.sha256()
        with open(source, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        rows = progress(_parse(source, emotions), f"checking {source.name}")
        return [[digest.hexdigest()[:12], ""], *([emotion, split] for emotion, split, _ in rows)]

    (key, _), *rows = remembered([source], f"pixels {emotions}", scan)
    folder = keep_folder(source.parent, "pixels") / key
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:05d}.png" for number in range(len(rows))]
    if not set(names) <= (there := kept(folder)):
        parsed = progress(zip(names, _parse(source, emotions), strict=True), f"images -> {folder}")
        for name, (_, _, pixels) in parsed:
            if name not in there:
                save_image(Image.frombytes("L", (SIDE, SIDE), pixels), folder / name, "PNG")
    return [Row(f"{folder}/{name}", *row) for name, row in zip(names, rows, strict=True)]


def _parse(source: Path, emotions: int) -> Iterator[tuple[int, str, bytes]]:
    """Emotion, split and pixels of each row."""
    with readable(source), open(source, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, skipinitialspace=True)
        header = [name.strip() for name in next(reader, [])]
        if missing := [name for name in ("emotion", "pixels", "Usage") if name not in header]:
            raise DataError(
                f"{source} has no column {', '.join(missing)} (it has {', '.join(header) or 'nothing'}): train.csv and "
                "test.csv of the Kaggle competition lack the official split, take fer2013.csv"
            )
        columns = [header.index(name) for name in ("emotion", "pixels", "Usage")]
        for row in reader:
            if not row:
                continue
            where = f"{source}, line {reader.line_num}"
            try:
                emotion, text, usage = (row[column].strip() for column in columns)
                pixels = bytes(map(int, text.split()))
            except (IndexError, ValueError) as error:
                raise DataError(f"{where}: expected an emotion, pixels from 0 to 255 and a Usage: {error}") from None
            if len(pixels) != SIDE * SIDE:
                raise DataError(f"{where}: {len(pixels)} pixels instead of {SIDE * SIDE}; the file is damaged")
            if not emotion.isdecimal() or int(emotion) >= emotions:
                raise DataError(f"{where}: the emotion must be from 0 to {emotions - 1}, not {emotion!r}")
            if usage not in USAGES:
                raise DataError(f"{where}: Usage must be one of {', '.join(USAGES)}, not {usage!r}")
            yield int(emotion), USAGES[usage], pixels
