"""Class folders of any depth and all endings; what is not used is counted, told and kept from a clean bill."""

from __future__ import annotations

import json
import logging
import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.miniatures import make_rafdb, noise, write
from support.miniatures_fer import CLASSES, make_fer2013, tally

from mpafer.datasets.__main__ import main
from mpafer.datasets.fer2013 import FER2013
from mpafer.datasets.ferfolder import FERFolder
from mpafer.datasets.rafdb import RAFDB
from mpafer.datasets.walking import Skipped, find_images
from mpafer.inputs.reading import read_image

ENDINGS = ("jpg", "jpeg", "JPG", "jfif", "webp", "gif", "png", "bmp", "tif", "tiff", "PNG", "jp2")
SIZE = (40, 40)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """train/ and test/ of seven class folders with two images each."""
    for seed, (split, name, i) in enumerate(product(("train", "test"), CLASSES[:7], range(2))):
        noise(tmp_path / "ferfolder" / split / name / f"{i}.png", SIZE, seed)
    return tmp_path / "ferfolder"


def mess(place: Path) -> dict[str, int]:
    """Put one of everything into a class folder; what is to be counted."""
    write(place / "notes.txt", "")
    write(place / "deeper/list.csv", "")
    write(place / ".face.png", "")
    write(place / ".cache/x.png", "")
    for name in (".DS_Store", "._image.jpg", "Thumbs.db", "deeper/.DS_Store", "__MACOSX/x.png"):
        write(place / name, "")
    os.mkfifo(place / "pipe.jpg")
    (place / "gone.png").symlink_to(place / "nothing.png")
    (place / "device.png").symlink_to("/dev/zero")
    (place / "deeper/up").symlink_to(place)
    noise(place.parent / "loose.webp", SIZE, 1)
    return {
        "left by the system": 5, "another ending": 2, "hidden": 2, "no regular file": 2, "unreadable": 1,
        "a link to a folder above it": 1, "outside the class folders": 1,
    }  # fmt: skip


def test_any_depth_and_every_ending(cfg, folder):
    for i, ending in enumerate(ENDINGS):
        noise(folder / f"train/happiness/{'a/' * (i % 4)}{i:02d}.{ending}", SIZE, 100 + i)
    (folder / "train/happiness/x.png").mkdir()  # a folder, whatever it is called
    noise(folder / "train/happiness/x.png/y.png", SIZE, 99)
    data = FERFolder(cfg)
    assert tally(data.train_x) == dict.fromkeys(CLASSES[:7], 2) | {"happiness": 2 + len(ENDINGS) + 1}
    assert not data.skipped
    assert all(read_image(item.impath).size == SIZE for item in data.train_x)
    flat = [item.impath for item in data.train_x if "/a/" not in item.impath and "/x.png/" not in item.impath]
    assert flat == sorted(flat, key=lambda path: (CLASSES.index(Path(path).parent.name), path)) or flat == sorted(flat)


def test_flat_folders_are_in_the_order_of_their_names(tmp_path):
    names = ["b.png", "B.png", "10.png", "9.png", "a b.png", "a.png", "ä.png"]
    for i, name in enumerate(names):
        noise(tmp_path / name, (4, 4), i)
    assert find_images(tmp_path, Skipped()) == sorted(names)


def test_links_are_followed(tmp_path):
    noise(tmp_path / "elsewhere/a.png", (4, 4), 0)
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces/more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "faces/b.png").symlink_to(tmp_path / "elsewhere/a.png")
    skipped = Skipped()
    assert find_images(tmp_path / "faces", skipped) == ["b.png", "more/a.png"] and not skipped.paths


def test_what_is_not_used_is_counted_and_told(cfg, folder, caplog):
    counts = mess(folder / "train/happiness")
    with caplog.at_level(logging.INFO, "mpafer.datasets"):
        data = FERFolder(cfg)
    assert tally(data.train_x) == dict.fromkeys(CLASSES[:7], 2) and data.skipped == counts
    (told,) = (record for record in caplog.records if "not used" in record.getMessage())
    message = told.getMessage()
    assert told.levelno == logging.WARNING and "\n" not in message
    assert all(f"{number} {reason} (first: {folder}/train/" in message for reason, number in counts.items())


def test_what_a_system_leaves_is_no_warning(cfg, folder, caplog):
    write(folder / "train/happiness/._a.jpg", "")
    with caplog.at_level(logging.INFO, "mpafer.datasets"):
        assert FERFolder(cfg).skipped == {"left by the system": 1}
    (told,) = (record for record in caplog.records if "not used" in record.getMessage())
    assert told.levelno == logging.INFO


def check(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, dict]:
    target = root / "doctor.json"
    with pytest.raises(SystemExit) as end:
        main(["check", "ferfolder", "--root", str(root), "--json", str(target)])
    return int(end.value.code or 0), capsys.readouterr().out, json.loads(target.read_text())


def test_the_doctor_does_not_say_ok_over_it(folder, tmp_path, capsys):
    status, printed, report = check(tmp_path, capsys)
    assert status == 0 and printed.splitlines()[-1] == "OK" and not report["findings"]
    write(folder / "train/happiness/._a.jpg", "")
    status, printed, report = check(tmp_path, capsys)
    assert printed.splitlines()[-1] == "OK" and "note: files that a system left among the images: 1" in printed
    counts = mess(folder / "train/happiness")
    status, printed, report = check(tmp_path, capsys)
    assert status == 0 and report["status"] == "warnings" and "OK" not in printed.splitlines()
    (finding,) = (finding for finding in report["findings"] if finding["kind"] == "unused")
    reasons = [case["detail"] for case in finding["cases"]]
    assert {reason: reasons.count(reason) for reason in reasons} == {
        reason: number for reason, number in counts.items() if reason != "left by the system"
    }
    assert {finding["kind"] for finding in report["findings"]} == {"unused", "left"}


def test_nested_images_are_seen_by_the_doctor(folder, tmp_path, capsys):
    noise(folder / "train/happiness/deep/er/x.webp", SIZE, 5)
    (folder / "train/happiness/deep/er/y.jpg").write_bytes(b"")
    status, printed, report = check(tmp_path, capsys)
    assert status == 1 and "deep/er/y.jpg: an empty file" in printed
    assert report["counts"]["train"]["happiness"]["found"] == 4


def test_the_doctor_does_not_hang_on_a_pipe_that_a_list_names(tmp_path, capsys):
    base = make_rafdb(tmp_path)
    path = base / "Image/aligned/train_00003_aligned.jpg"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SystemExit) as end:
        main(["check", "rafdb", "--root", str(tmp_path)])
    assert end.value.code == 1 and "train_00003_aligned.jpg: it is a pipe" in capsys.readouterr().out


def test_the_doctor_sees_upright_pixels_of_8_bits(folder, tmp_path, capsys):
    """So a turned copy is the same picture, and so is one of 16 bits, which is no single colour."""
    first = folder / "train/happiness/0.png"
    upright = Image.open(first).convert("L").convert("RGB")
    upright.save(first)
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(folder / "train/happiness/turned.png", exif=exif)
    Image.fromarray(np.asarray(upright)[:, :, 0] * np.uint16(257)).save(folder / "train/happiness/deep.png")
    report = check(tmp_path, capsys)[2]
    (finding,) = report["findings"]
    names = {Path(file).name for file in finding["cases"][0]["files"]}
    assert finding["kind"] == "repeated" and names == {first.name, "turned.png", "deep.png"}


# --- images that we make --------------------------------------------------------------------------


def test_an_empty_png_is_made_again(cfg, tmp_path):
    make_fer2013(tmp_path)
    paths = [Path(item.impath) for item in FER2013(cfg).train_x]
    content, others = paths[3].read_bytes(), [path.stat().st_mtime_ns for path in paths[:3]]
    paths[3].write_bytes(b"")
    assert [item.impath for item in FER2013(cfg).train_x] == [str(path) for path in paths]
    assert paths[3].read_bytes() == content and [path.stat().st_mtime_ns for path in paths[:3]] == others


def test_an_empty_crop_is_made_again(cfg, tmp_path):
    make_rafdb(tmp_path, "originals")
    path = Path(RAFDB(cfg).train_x[0].impath)
    content = path.read_bytes()
    path.write_bytes(b"")
    assert RAFDB(cfg).train_x[0].impath == str(path) and path.read_bytes() == content


def test_crops_are_of_the_upright_photograph(cfg, tmp_path):
    base = make_rafdb(tmp_path, "originals")
    upright = np.asarray(read_image(RAFDB(cfg).train_x[0].impath))
    photograph = next((base / "Image/original").glob("train_00001*"))
    exif = Image.Exif()
    exif[0x0112] = 8
    with Image.open(photograph) as image:
        turned = image.convert("RGB").transpose(Image.Transpose.ROTATE_270)
    with open(photograph, "wb") as file:
        turned.save(file, "PNG", exif=exif)
    for crop in base.rglob("mpafer_crops/*/train_00001.jpg"):
        crop.unlink()
    again = np.asarray(read_image(RAFDB(cfg).train_x[0].impath))
    assert again.shape == upright.shape and np.abs(again.astype(int) - upright).mean() < 3
