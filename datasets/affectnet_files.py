"""AffectNet's two releases on disk -> plain lists that can be remembered: the big folders are looked through once."""

from __future__ import annotations

import csv
import math
import os
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mpafer.common.errors import DataError
from mpafer.common.progress import progress
from mpafer.common.texts import readable
from mpafer.datasets.columns import class_number
from mpafer.datasets.labels import AFFECTNET_IDS
from mpafer.inputs.reading import image_endings

LABEL = "_exp.npy"  # how the files of labels end
LISTS = {"train": "training.csv", "test": "validation.csv"}
PLACES = ("Manually_Annotated_file_lists", "Manually_Annotated/Manually_Annotated_file_lists", "")
# The columns of both lists, which may come without this header.
COLUMNS = ("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height",
           "facial_landmarks", "expression", "valence", "arousal")  # fmt: skip
LAST_ID = 10  # 8 none, 9 uncertain, 10 no face


class Face(NamedTuple):
    """One image: its file under the folder of images, its id, and where it was listed."""

    file: str
    emotion: int  # 0 to 10
    box: str = ""  # `left top right bottom`, "" = unknown
    line: int = 0  # of the list, 0 = it has none


class Found(NamedTuple):
    """What a release holds; plain lists once it was remembered."""

    faces: list[Face]
    faults: dict[str, list[str]]  # what was passed over, and why

    @classmethod
    def of(cls, faces: list[list[Any]], faults: dict[str, list[str]]) -> Found:
        """From what was remembered."""
        return cls([Face(*face) for face in faces], faults)


def find_lists(folder: Path) -> dict[str, Path] | None:
    """train, test -> its list, in the first place that has both."""
    for place in PLACES:
        lists = {split: folder / place / name for split, name in LISTS.items()}
        if all(path.is_file() for path in lists.values()):
            return lists
    return None


def read_csv(source: Path, pictures: Path) -> Found:
    """Faces whose image is there, and all of ids above 7; endings and names are compared without regard to case.

    Raises:
        DataError: a row that is cut short, or an id that is none; its line is named.
    """
    there: dict[str, dict[str, str]] = {}  # sub-folder -> name in lower case -> real name
    faces, faults = [], defaultdict[str, list[str]](list)
    with readable(source), open(source, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        for row in progress(reader, f"reading {source.name}"):
            if not row or row[0].strip().startswith("subDirectory"):
                continue
            where = f"{source}, line {reader.line_num}"
            if len(row) < len(COLUMNS):
                raise DataError(f"{where}: expected {len(COLUMNS)} columns ({', '.join(COLUMNS)}), read {len(row)}")
            emotion = _emotion(row[COLUMNS.index("expression")], where)
            if emotion not in AFFECTNET_IDS:
                faces.append(Face(row[0].strip(), emotion))
                continue
            place, name = os.path.split(row[0].strip())
            if os.path.isabs(place) or os.path.normpath(place).startswith(".."):
                raise DataError(f"{where}: {row[0]!r} leads out of {pictures}; copy the image into it")
            if place not in there:
                listed = os.listdir(pictures / place) if (pictures / place).is_dir() else []
                there[place] = {entry.lower(): entry for entry in listed}
            if name.lower() in there[place]:
                real = f"{place}/{there[place][name.lower()]}"
                faces.append(Face(real, emotion, _box(row[1:5]), reader.line_num))
            else:
                faults[f"images of {source.name} are missing"].append(row[0])
    return Found(faces, faults)


def read_npy(images: Path, notes: Path) -> Found:
    """The images with an annotation `<stem>_exp.npy`: a text of an id. Stems are texts: they may start with zeros.

    Raises:
        DataError: a file that holds no id; it is named.
    """
    there = {Path(name).stem: name for name in os.listdir(images) if name.lower().endswith(image_endings())}
    stems = [name.removesuffix(LABEL) for name in os.listdir(notes) if name.endswith(LABEL)]
    faces, faults = [], defaultdict[str, list[str]](list)
    for stem in progress(sorted(stems, key=lambda stem: (len(stem), stem)), f"reading {notes}"):
        if stem not in there:
            faults[f"annotations in {notes} have no image"].append(stem + LABEL)
            continue
        path = notes / f"{stem}{LABEL}"
        try:
            loaded = np.load(path)
            if not isinstance(loaded, np.ndarray):
                raise ValueError("it is an .npz archive")
            value = str(loaded.item())
        except (ValueError, EOFError) as error:
            raise DataError(f"{path} does not hold one expression: {error}") from None
        faces.append(Face(there[stem], _emotion(value, str(path))))
    for stem in sorted(there.keys() - set(stems)):
        faults[f"images in {images} have no annotation"].append(there[stem])
    return Found(faces, faults)


def _emotion(text: str, where: str) -> int:
    emotion = class_number(text)
    if emotion is None or emotion > LAST_ID:
        raise DataError(f"{where}: the expression must be from 0 to {LAST_ID}, not {text!r}")
    return emotion


def _box(fields: list[str]) -> str:
    """x, y, width, height -> `left top right bottom`; "" where they enclose nothing."""
    try:
        x, y, width, height = (float(field) for field in fields)
    except ValueError:
        return ""
    usable = all(map(math.isfinite, (x, y, width, height))) and width > 0 and height > 0
    return f"{x:g} {y:g} {x + width:g} {y + height:g}" if usable else ""
