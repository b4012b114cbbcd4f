"""What is said where a data set was not found: what was seen, the closest layout, what differs."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.miniatures import make_rafdb, write
from support.miniatures_fer import make_ckplus, make_fer2013
from support.miniatures_lists import make_facial_expressions

from mpafer.datasets import find_dataset
from mpafer.datasets.items import MissingDataError


def message(cfg, name: str) -> str:
    with pytest.raises(MissingDataError) as error:
        find_dataset(name)(cfg)
    return str(error.value)


def rename(base: Path, old: str, new: str) -> None:
    (base / new).parent.mkdir(parents=True, exist_ok=True)
    (base / old).rename(base / new)


def raf(root: Path) -> None:
    rename(make_rafdb(root), "EmoLabel", "EmoLabels")


def raf_root(root: Path) -> None:
    make_rafdb(root)
    rename(root, "RAF-DB", "RAF_DB")


def ckplus(root: Path) -> None:
    rename(make_ckplus(root), "cohn-kanade-images", "cohn-kanade")


def faces(root: Path) -> None:
    rename(make_facial_expressions(root), "data/legend.csv", "data/legend (1).csv")


def fer(root: Path) -> None:
    make_fer2013(root, "fer2013/fer2013_v2.csv")


def own(root: Path) -> None:
    write(root / "ferfolder/Training_set/notes.txt", "")
    write(root / "ferfolder/a.zip", "")


@pytest.mark.parametrize(
    ("name", "make", "parts"),
    [
        ("RAFDB", raf, [
            "Seen: ", "RAF-DB: basic/", "Closest is the official layout, in ",
            "basic/EmoLabel/list_patition_label.txt is not, but basic/EmoLabels/list_patition_label.txt is",
            "basic/Image/aligned is there",
        ]),
        ("RAFDB", raf_root, ["RAF_DB looks like it: rename it to RAF-DB", "basic/Image/aligned is there"]),
        ("CKPlus", ckplus, ["cohn-kanade-images is not, but cohn-kanade is; Emotion is there; Landmarks is there"]),
        ("FacialExpressions", faces, ["Closest is the clone", "data/legend.csv is not, but data/legend (1).csv is"]),
        ("FER2013", fer, ["Seen: ", "fer2013: fer2013_v2.csv", "fer2013.csv is not, but fer2013_v2.csv is"]),
    ],
)  # fmt: skip
def test_nearly_a_layout(cfg, tmp_path, name, make, parts):
    make(tmp_path)
    said = message(cfg, name)
    for part in [*parts, "was not found in", "Access: "]:
        assert part in said, said


def test_nothing_alike(cfg, tmp_path):
    (tmp_path / "pictures").mkdir()
    write(tmp_path / "a.txt", "")
    for i in range(12):
        write(tmp_path / f"{i}.jpg", "")
    said = message(cfg, "AffectNet8")
    assert f"Seen: {tmp_path}: pictures/, 12 .jpg, a.txt" in said and "Closest" not in said
    cfg.DATASET.ROOT = str(tmp_path / "nowhere")
    assert f"There is no folder {tmp_path / 'nowhere'}." in message(cfg, "AffectNet8")
