"""`mpafer align`: copies under their names, a line for each image, going on after a stop, and what it refuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from support.commands import invoke

from mpafer.faces import copies
from mpafer.faces.alignment import DEFAULT_TEMPLATE
from mpafer.faces.detector import load_detector
from mpafer.inference import aligned

pytest.importorskip("cv2", reason="OpenCV is not installed: the extra faces")
data = pytest.importorskip("skimage.data", reason="scikit-image is not installed: the extra dev")
Align = Callable[..., str]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces in class folders: one alone (JPEG, turned by EXIF), two side by side, and a cup of coffee."""
    folder = tmp_path_factory.mktemp("photographs")
    face = Image.fromarray(data.astronaut()).crop((90, 0, 346, 256))
    (folder / "train/happy").mkdir(parents=True)
    (folder / "test/happy/deep").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by a quarter
    face.rotate(90).save(folder / "train/happy/turned.jpg", exif=exif, quality=95)
    two = Image.new("RGB", (512, 256))
    two.paste(face, (0, 0))
    two.paste(face.resize((200, 200)), (280, 20))
    two.save(folder / "test/happy/deep/two.png")
    Image.fromarray(data.coffee()).resize((300, 200)).save(folder / "cup.gif")
    (folder / "labels.txt").write_text("not an image\n")
    return folder


@pytest.fixture
def align(photographs: Path, tmp_path: Path) -> Align:
    def align(*words: str, source: Path = photographs) -> str:
        return invoke("align", str(source), str(tmp_path / "out"), "--jobs", "1", "--size", "96", *words)

    return align


def lines(folder: Path) -> dict[str, dict[str, str]]:
    with open(folder / "align.csv", encoding="utf-8", newline="") as file:
        return {row["image"]: row for row in csv.DictReader(file)}


def test_copies_keep_their_names_and_each_is_told_of(align: Align, tmp_path: Path):
    out = tmp_path / "out"
    assert align("--template", "default") == (
        f"3 images: 1 no face: centre square, 1 the largest of 2, 1 aligned\nOf each: {out / 'align.csv'}\n"
    )
    assert {image: line["done"] for image, line in lines(out).items()} == {
        "cup.gif": "no face: centre square",
        "test/happy/deep/two.png": "the largest of 2",
        "train/happy/turned.jpg": "aligned",
    }
    written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file() and path.name[0] != "."}
    assert written == {
        "align.csv", "align.json", "cup.gif.png", "test/happy/deep/two.png", "train/happy/turned.jpg"
    }  # fmt: skip
    detector = load_detector()
    for copy in ("test/happy/deep/two.png", "train/happy/turned.jpg"):
        with Image.open(out / copy) as image:
            assert image.size == (96, 96) and image.format == ("PNG" if copy.endswith("png") else "JPEG")
            found = detector.find(np.asarray(image.convert("RGB")))
        eyes = found.landmarks[0, :2] / 96
        assert np.abs(eyes - np.array(DEFAULT_TEMPLATE.points)[:2]).max() < 0.05


def test_images_without_a_face_may_be_left_out(align: Align, tmp_path: Path):
    align("--template", "default", "--no-face", "skip")
    assert lines(tmp_path / "out")["cup.gif"]["done"] == "no face: left out"
    assert not list((tmp_path / "out").glob("cup*"))


def test_it_goes_on_where_it_was(align: Align, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(aligned, "CHUNK", 1)
    asked: list[str] = []
    stop = True

    def copy(source: Path, target: Path, images: list[str], how: copies.How) -> list[copies.Copied]:
        if stop and len(asked) == 2:
            raise KeyboardInterrupt
        asked.extend(images)
        return copies.copy_aligned(source, target, images, how)

    monkeypatch.setattr(aligned, "copy_aligned", copy)
    with pytest.raises(SystemExit):
        align("--template", "default")
    out = tmp_path / "out"
    assert len(lines(out)) == 2
    with open(out / "align.csv", "a") as file:
        file.write("train/happy/tur")  # as a killed process leaves it
    (out / asked[1]).unlink()
    first, stop = asked.copy(), False
    asked.clear()
    align("--template", "default")
    assert asked == [first[1], "train/happy/turned.jpg"] and len(lines(out)) == 3
    asked.clear()
    align("--template", "default")
    assert asked == []


def test_an_unreadable_file_stops_nothing_and_is_named(align: Align, tmp_path: Path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "bad.png").write_text("no")
    Image.fromarray(data.astronaut()).save(source / "good.png")
    with pytest.raises(SystemExit, match=r"cannot read the image .*/source/bad.png: not an image; copy it again"):
        align("--template", "default", source=source)
    assert lines(tmp_path / "out")["good.png"]["done"] == "aligned"
    Image.fromarray(data.astronaut()).save(source / "bad.png")
    align("--template", "default", source=source)
    assert lines(tmp_path / "out")["bad.png"]["done"] == "aligned"


def test_the_template_is_measured_and_kept(align: Align, tmp_path: Path):
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    with pytest.raises(SystemExit, match="too few faces are found in it to measure where they lie"):
        align(source=make_copies(source, 9))
    align("--jobs", "2", source=make_copies(source, 12))
    kept = json.loads((out / "align.json").read_text())["template"]
    assert (kept["found"], kept["looked_at"], kept["detector"]) == (12, 12, "centerface")
    with Image.open(source / "00.png") as before, Image.open(out / "00.png") as after:
        change = np.abs(np.asarray(before.resize((96, 96)), float) - np.asarray(after, float)).mean()
    assert change < 6  # all lie where the template is: nothing moves


def make_copies(folder: Path, count: int) -> Path:
    face = Image.fromarray(data.astronaut()).crop((130, 20, 322, 212))
    for number in range(count):
        face.save(folder / f"{number:02d}.png")
    return folder


def test_what_is_refused(align: Align, tmp_path: Path):
    align("--template", "default")
    with pytest.raises(SystemExit, match=r"holds other copies \(size 96, not 64\): name another folder"):
        align("--template", "default", "--size", "64")
    with pytest.raises(SystemExit, match=r"holds other copies \(template default, not measured\)"):
        align()
    (tmp_path / "out/align.json").write_text("{}")
    with pytest.raises(SystemExit, match=r"align.json is damaged: name another folder, or remove this one"):
        align("--template", "default")
    for source, message in ((tmp_path / "none", "there is no such folder"), (tmp_path, "lies within SRC")):
        with pytest.raises(SystemExit, match=message):
            align(source=source)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="there are no images in it"):
        align(source=tmp_path / "empty")
    for name in ("a.gif", "a.gif.png"):
        (tmp_path / "empty" / name).touch()
    with pytest.raises(SystemExit, match=r"two images of .* would have the same copy, a.gif.png"):
        align(source=tmp_path / "empty")


def test_two_at_once(align: Align, tmp_path: Path):
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out/.lock"), pytest.raises(SystemExit, match=r"is in use by .* or choose another DST"):
        align("--template", "default")
