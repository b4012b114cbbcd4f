"""YOLO folders: images/ and labels/, a text file an image, whose first number is the class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from mpafer.common.errors import DataError
from mpafer.common.texts import read_text
from mpafer.datasets.folders import split_folders
from mpafer.datasets.items import Problems, log
from mpafer.datasets.tables import Row
from mpafer.datasets.walking import find_images

UNLABELLED = "without a label"
NAMES = ("data.yaml", "dataset.yaml", "data.yml", "classes.txt")


def find_yolo(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Split -> its folders of images and of labels: train/images and train/labels, or images/train and labels/train."""
    parts = {split: (place / "images", place / "labels") for split, place in split_folders(folder).items()}
    if not any(labels.is_dir() for _, labels in parts.values()) and (folder / "labels").is_dir():
        there = split_folders(folder / "labels")
        parts = {split: (folder / "images" / place.name, place) for split, place in there.items()}
    return {split: pair for split, pair in parts.items() if all(place.is_dir() for place in pair)}


def read_yolo(
    folder: Path, parts: Mapping[str, tuple[Path, Path]], problems: Problems
) -> tuple[list[Row], dict[int, str]]:
    """A row an image that has a class, and number -> class as data.yaml or classes.txt says.

    Boxes are not used: the whole picture is the face. What has no class is counted.

    Raises:
        DataError: by ``problems``: faces of several classes in one picture.
    """
    rows: list[Row] = []
    for split, (images, labels) in parts.items():
        texts = {path.relative_to(labels).with_suffix(""): path for path in labels.rglob("*.txt")}
        for name in find_images(images, problems.skipped):
            source = texts.get(Path(name).with_suffix(""))
            lines = read_text(source).splitlines() if source else []
            classes = sorted({line.split()[0] for line in lines if line.strip()})
            if len(classes) > 1:
                problems.report(DataError(f"{source}: faces of the classes {' and '.join(classes)} in one picture"))
            elif classes:
                rows.append(Row(str(source), f"{images}/{name}", classes[0], split))
            else:
                problems.skipped.add(UNLABELLED, f"{images}/{name}")
    log.info("reading YOLO folders in %s, whole pictures", folder)
    return rows, read_names(folder)


def read_names(folder: Path) -> dict[int, str]:
    """Number -> class, as data.yaml or classes.txt says; empty where neither is there.

    Raises:
        DataError: a file that is there and does not say it.
    """
    source = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if source is None:
        return {}
    text = read_text(source)
    try:
        names = text.splitlines() if source.suffix == ".txt" else yaml.safe_load(text)["names"]
        pairs = names.items() if isinstance(names, dict) else enumerate(list(names))
        return {int(number): str(name).strip() for number, name in pairs if str(name).strip()}
    except (ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise DataError(f"{source} has no names of the classes: {error!r}") from None
