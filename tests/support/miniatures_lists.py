"""Tiny FacialExpressions, and lists, YOLO folders and shards of anybody's: true syntax, invented labels, noise."""

from __future__ import annotations

from pathlib import Path

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
