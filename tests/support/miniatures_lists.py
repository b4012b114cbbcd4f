"""Tiny FacialExpressions, and lists, YOLO folders and shards of anybody's: true syntax, invented labels, noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.miniatures import noise, write

# user.id, image, emotion: two spellings of case, an image twice, one with two labels, a copy under another name
LEGEND = (
    ("628", "facial-expressions_2868588k.jpg", "anger"),
    *(("dwdii", f"Person_{i}_{n:04d}.jpg", "neutral" if n < 3 else "HAPPINESS") for i in range(12) for n in (1, 2, 3)),
    *(("jhamski", f"Actor{i}_{n}.jpg", name) for i in range(12) for n, name in enumerate(
        ("SURPRISE", "fear", "DISGUST", "happiness", "sadness", "ANGER", "Neutral", "contempt"), start=1)),
    ("dwdii", "Person_0_0001.jpg", "NEUTRAL"),
    ("jhamski", "Avinash_30.jpg", "SURPRISE"),
    ("jhamski", "Avinash_30.jpg", "SADNESS"),
    ("302", "Bart_Hendricks_0001.jpg", "neutral"),
    ("dwdii", "Ricky_Ray_0001.jpg", "neutral"),
)  # fmt: skip


def make_facial_expressions(root: Path, base: str = "facial_expressions") -> Path:
    """The clone, with an image that is not listed and the second list, which is not read. Returns its folder."""
    folder = root / base
    write(folder / "data/legend.csv", "\n".join(["user.id,image,emotion", *map(",".join, LEGEND)]) + "\n")
    write(folder / "data/500_picts_satz.csv", "906,Person_0_0001.jpg,sad\r906,Person_0_0002.jpg,fear\r")
    for number, name in enumerate(dict.fromkeys(row[1] for row in (*LEGEND, ("", "Nobody_0001.jpg", "")))):
        twin = 0 if name in ("Bart_Hendricks_0001.jpg", "Ricky_Ray_0001.jpg") else number + 1
        noise(folder / "images" / name, (40, 40), twin)
    return folder


# file, class, split: of two people in folders of their own
PICTURES = tuple(
    (f"{person}/shot {i}.jpg", name, split)
    for person, split in (("ann", "train"), ("bob", "train"), ("eve", "test"))
    for i, name in enumerate(("happy", "Sad", "angry"))
)


def make_pictures(folder: Path, rows: Sequence[tuple[str, str, str]] = PICTURES) -> Path:
    """The images of a list, without the list."""
    for number, (file, _, _) in enumerate(rows):
        noise(folder / file, (16, 16), number)
    return folder


def make_yolo(folder: Path, names: Sequence[str] = (), each: int = 1) -> Path:
    """train/images, train/labels, valid/ ..., one box over the whole picture; data.yaml if there are names."""
    number = 0
    for split in ("train", "valid"):
        for label in range(len(names) or 8):
            for _ in range(each):
                number += 1
                noise(folder / split / "images" / f"image{number:07d}.png", (16, 16), number)
                write(folder / split / "labels" / f"image{number:07d}.txt", f"{label} 0.5 0.5 1 1\n")
    if names:
        write(folder / "data.yaml", "train: ../train/images\nnames: [" + ", ".join(names) + "]\n")
    return folder


def make_shard(path: Path, labels: Sequence[Any], names: Sequence[str] = (), first: int = 0) -> Path:
    """A shard as the datasets library writes it: a struct of bytes and path, a label, the classes' names."""
    import io
    import json

    import pyarrow
    import pyarrow.parquet
    from PIL import Image

    images = []
    for i, _ in enumerate(labels):
        file = io.BytesIO()
        Image.new("L", (48, 48), (first + i) % 256).save(file, ("PNG", "JPEG")[i % 2])
        images.append({"bytes": file.getvalue(), "path": None})
    table = pyarrow.table({"image": images, "label": list(labels)})
    if names:
        about = {"info": {"features": {"image": {"_type": "Image"}, "label": {"names": list(names)}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, path)
    return path
