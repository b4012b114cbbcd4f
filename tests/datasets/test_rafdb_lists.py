"""RAF-DB by the lists that APViT and CEPrompt made of the official one: the same images, order and labels."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.miniatures import make_rafdb, rafdb_rows, write

from mpafer.datasets.items import MissingDataError
from mpafer.datasets.rafdb import RAFDB


def official(cfg, root: Path) -> tuple[Path, list[tuple[str, int]]]:
    """EmoLabel/ without any list, and what the official one says."""
    folder = make_rafdb(root) / "EmoLabel"
    data = RAFDB(cfg)
    (folder / "list_patition_label.txt").unlink()
    return folder, [(item.impath, item.label) for item in data.train_x + data.test]


def printed(cfg) -> list[tuple[str, int]]:
    data = RAFDB(cfg)
    return [(item.impath, item.label) for item in data.train_x + data.test]


def keyed(folder: Path, first: int = 1) -> dict[str, list[str]]:
    """CEPrompt's three files, their numbers from ``first`` on; a trailing newline, as in the real ones."""
    tables: dict[str, list[str]] = {"images.txt": [], "image_class_labels.txt": [], "train_test_split.txt": []}
    for number, (stem, label) in enumerate(rafdb_rows(), start=first):
        for name, value in zip(tables, (f"{stem}.jpg", label, int(stem.startswith("train"))), strict=True):
            tables[name].append(f"{number} {value}")
    return tables


def save(folder: Path, tables: dict[str, list[str]]) -> None:
    for name, lines in tables.items():
        write(folder / name, "\n".join(lines) + "\n")


def test_two_halves(cfg, tmp_path):
    folder, expected = official(cfg, tmp_path)
    rows = [f"{stem}_aligned.jpg {label}" for stem, label in rafdb_rows()]  # APViT strips the ending, if it is there
    write(folder / "train.txt", "\n".join(row for row in rows if row.startswith("train")))
    with pytest.raises(MissingDataError, match=r"train\.txt is there, but not .*test\.txt"):
        RAFDB(cfg)
    write(folder / "test.txt", "\r\n".join(row for row in rows if row.startswith("test")))
    assert printed(cfg) == expected


@pytest.mark.parametrize("first", [1, 101])
def test_three_files_in_any_order(cfg, tmp_path, first):
    folder, expected = official(cfg, tmp_path)
    tables = keyed(folder, first)
    tables["images.txt"].reverse()
    tables["train_test_split.txt"] = tables["train_test_split.txt"][5:] + tables["train_test_split.txt"][:5]
    save(folder, tables)
    assert printed(cfg) == expected


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "images.txt",
            lambda rows: [*rows, "3 train_99999.jpg"],
            "line 22: number 3 stands there a second",
        ),
        ("image_class_labels.txt", lambda rows: rows[:-1], "number 21 has no row in image_class_labels.txt"),
        ("image_class_labels.txt", lambda rows: ["1 0", *rows[1:]], "a label from 1 to 7, read 'train_00001.jpg 0'"),
        ("train_test_split.txt", lambda rows: ["1 0", *rows[1:]], "0 .* does not fit train_00001.jpg"),
    ],
)
def test_files_that_do_not_fit(cfg, tmp_path, name, change, message):
    folder, _ = official(cfg, tmp_path)
    tables = keyed(folder)
    tables[name] = change(tables[name])
    save(folder, tables)
    with pytest.raises(ValueError, match=message):
        RAFDB(cfg)
