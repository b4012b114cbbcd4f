"""Kept lists and made images cannot change what a data set holds: what does not fit is made again."""

from __future__ import annotations

import json
import logging
import os
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.miniatures_fer import make_fer2013

from mpafer.datasets import pixels, remembered
from mpafer.datasets.crops import crop_faces
from mpafer.datasets.items import Problems
from mpafer.datasets.remembered import kept


class Scan:
    """Reads a list, and counts how often."""

    def __init__(self, source: Path) -> None:
        self.source, self.times = source, 0

    def __call__(self) -> list[str]:
        self.times += 1
        return self.source.read_text().split()


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    source = tmp_path / "list.txt"
    source.write_text("a 1 b 2")
    return Scan(source)


def look_up(scan: Scan) -> list[str]:
    return list(remembered.remembered([scan.source], "things", scan))


def test_a_list_is_made_once(scan: Scan) -> None:
    assert look_up(scan) == look_up(scan) == ["a", "1", "b", "2"] and scan.times == 1


def test_another_list_of_equal_size_and_time_is_seen(scan: Scan) -> None:
    look_up(scan)
    about = scan.source.stat()
    scan.source.write_text("a 2 b 1")
    os.utime(scan.source, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert look_up(scan) == look_up(scan) == ["a", "2", "b", "1"] and scan.times == 2


def other_shape(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"content": {"a": [1]}}))


DAMAGES = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-3]),
    "empty": lambda path: path.write_bytes(b""),
    "prolonged": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "a letter": lambda path: path.write_bytes(path.read_bytes().replace(b'"2"', b'"3"')),
    "another shape": other_shape,
    "without a seal": lambda path: path.write_text('["a", "1", "b", "3"]'),
    "a number": lambda path: path.write_text("3"),
    "null": lambda path: path.write_text("null"),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "another key": lambda path: path.write_bytes(path.read_bytes().replace(b'"key": "', b'"key": "0')),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_found_and_said_in_one_line(scan: Scan, own_cache: Path, caplog, damage) -> None:
    look_up(scan)
    (path,) = (own_cache / "lists").iterdir()
    whole = path.read_bytes()
    damage(path)
    assert path.read_bytes() != whole
    with caplog.at_level(logging.WARNING):
        assert look_up(scan) == ["a", "1", "b", "2"] and scan.times == 2
    (record,) = caplog.records
    assert str(path) in record.getMessage() and "made again" in record.getMessage()
    assert path.read_bytes() == whole


# --- images that we make

CUTS = {
    "empty": lambda path: os.truncate(path, 0),
    "short": lambda path: os.truncate(path, 5),
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "a byte": lambda path: os.truncate(path, path.stat().st_size - 1),
    "blank": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", CUTS.values(), ids=CUTS)
def test_a_cut_image_of_a_csv_is_made_again(tmp_path: Path, damage) -> None:
    source = make_fer2013(tmp_path)
    paths = [Path(row.impath) for row in pixels.read_pixels(source, 7)]
    whole = [path.read_bytes() for path in paths]
    inodes = [path.stat().st_ino for path in paths]
    damage(paths[1])
    assert [Path(row.impath) for row in pixels.read_pixels(source, 7)] == paths
    assert [path.read_bytes() for path in paths] == whole
    assert [path.stat().st_ino for path in paths[2:]] == inodes[2:]  # the others are left alone


@pytest.mark.parametrize("damage", CUTS.values(), ids=CUTS)
def test_a_cut_crop_is_made_again(tmp_path: Path, damage) -> None:
    photographs = []
    for i in range(3):
        photographs.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(photographs[-1])

    def crops() -> list[Path]:
        boxes = ["5 5 25 25"] * 3
        return [Path(path) for path in crop_faces(photographs, boxes, boxes, tmp_path, Problems())]

    paths = crops()
    whole = [path.read_bytes() for path in paths]
    damage(paths[1])
    assert crops() == paths and [path.read_bytes() for path in paths] == whole


def test_a_png_with_a_flipped_bit_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.effect_noise((24, 24), 60).save(folder / "0.png")
    whole = (folder / "0.png").read_bytes()
    assert kept(folder) == {"0.png"}
    for place in random.Random(0).sample(range(8 * len(whole)), 300):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        (folder / "0.png").write_bytes(flipped)
        assert kept(folder) == set(), place
    (folder / "0.png").write_bytes(whole)
    assert kept(folder) == {"0.png"}


def test_the_ends_of_images_are_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(4):
        Image.new("L", (8, 8), i).save(folder / f"{i}.{('png', 'jpg')[i % 2]}")
    os.truncate(folder / "0.png", 20)
    seen = []
    real = remembered._is_whole
    monkeypatch.setattr(remembered, "_is_whole", lambda path: seen.append(path.name) or real(path))
    assert kept(folder) == {"1.jpg", "2.png", "3.jpg"} and len(seen) == 4
    seen.clear()
    assert kept(folder) == {"1.jpg", "2.png", "3.jpg"} and seen == ["0.png"]
    os.truncate(folder / "1.jpg", 20)
    assert kept(folder) == {"2.png", "3.jpg"}
