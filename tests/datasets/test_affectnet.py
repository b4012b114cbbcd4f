"""AffectNet's releases and copies, with what is odd in them."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.miniatures_fer import (
    AFFECTNET,
    AFFECTNET_HEADER,
    CLASSES,
    affectnet_name,
    affectnet_row,
    make_affectnet_csv,
    make_affectnet_npy,
    make_folders,
    tally,
)

from mpafer.datasets import affectnet, affectnet_files
from mpafer.datasets import remembered as cache
from mpafer.datasets.affectnet import AffectNet7, AffectNet8
from mpafer.datasets.items import MissingDataError

BOTH = pytest.mark.parametrize(("dataset", "classes"), [(AffectNet7, 7), (AffectNet8, 8)])
NUMBERS = [str(i) for i in range(8)]
NAMES = ["Neutral", "happy", "Sad", "surprised", "fear", "disgust", "Angry", "contempt"]


def edit(source: Path, *lines: str) -> None:
    source.write_text(source.read_text() + "".join(f"{line}\n" for line in lines))


# --- layouts --------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"base": "affectnet"},
        {"base": "."},
        {"lists": "."},
        {"lists": "Manually_Annotated/Manually_Annotated_file_lists"},
        {"header": False},
    ],
)
def test_csv_release(cfg, tmp_path, dataset, classes, options):
    folder = make_affectnet_csv(tmp_path, **options)
    data = dataset(cfg)
    assert data.classnames == list(CLASSES[:classes])
    assert tally(data.train_x) == dict.fromkeys(CLASSES[:classes], 2), "ids 8 to 10 are dropped"
    assert tally(data.test) == dict.fromkeys(CLASSES[:classes], 1)
    truth = {affectnet_name(2 * emotion + i): AFFECTNET[emotion] for emotion in range(classes) for i in (0, 1)}
    pictures = folder / "Manually_Annotated_Images"
    assert {str(Path(d.impath).relative_to(pictures)): d.classname for d in data.train_x} == {
        name: label for name, label in truth.items() if label in CLASSES[:classes]
    }
    assert all(Path(datum.impath).is_file() for datum in [*data.train_x, *data.test])


@BOTH
def test_npy_release(cfg, tmp_path, dataset, classes):
    folder = make_affectnet_npy(tmp_path)
    data = dataset(cfg)
    assert tally(data.train_x) == dict.fromkeys(CLASSES[:classes], 2)
    assert tally(data.test) == dict.fromkeys(CLASSES[:classes], 1)
    named = {datum.impath: datum.classname for datum in data.train_x}
    assert named[str(folder / "train_set/images/0000005.jpg")] == "surprise", "a stem is a text, not a number"
    assert not {datum.impath for datum in data.train_x} & {datum.impath for datum in data.test}


@BOTH
@pytest.mark.parametrize(
    "splits",
    [
        {"train": NUMBERS, "val": NUMBERS},  # DAN
        {"train": NAMES, "valid": NAMES},  # POSTER, seven classes
        {"train": NAMES, "test": NAMES},  # POSTER, eight
        {"Train": NUMBERS, "VAL": [*NUMBERS, "8", "9", "10"]},
        {"train": NUMBERS, "val": NAMES, "test": NUMBERS},
    ],
)
def test_class_folders(cfg, tmp_path, dataset, classes, splits):
    make_folders(tmp_path / "AffectNet", splits)
    data = dataset(cfg)
    assert data.classnames == list(CLASSES[:classes])
    assert bool(data.val) == (len(splits) == 3)
    for datum in [*data.train_x, *data.test]:
        folder = Path(datum.impath).parent.name
        assert datum.classname == AFFECTNET[NUMBERS.index(folder) if folder.isdecimal() else NAMES.index(folder)]


def test_seven_classes_need_no_folder_of_contempt(cfg, tmp_path):
    make_folders(tmp_path / "AffectNet", {"train": NUMBERS[:7], "val": NUMBERS[:7]})
    assert len(AffectNet7(cfg).test) == 7
    with pytest.raises(MissingDataError, match="train/7 for the images of contempt"):
        AffectNet8(cfg)


# --- what is odd in the CSV release ---------------------------------------------------------------


def test_case_of_endings_duplicates_and_missing_images(cfg, tmp_path, caplog):
    folder = make_affectnet_csv(tmp_path)
    source = folder / "Manually_Annotated_file_lists/training.csv"
    name = affectnet_name(1)
    assert name.endswith(".JPG")
    edit(source, affectnet_row(name.replace(".JPG", ".jpg"), 3), affectnet_row("1/nowhere.jpg", 2))
    edit(source, affectnet_row("77/nowhere.jpg", 2), affectnet_row("1/unused.jpg", 9))
    with caplog.at_level(logging.WARNING, "mpafer.datasets"):
        data = AffectNet8(cfg)
    assert sorted(d.classname for d in data.train_x if d.impath.endswith(name)) == ["neutral", "surprise"]
    assert f"1 pictures stand in {source} with several labels, for example {name}: each is" in caplog.text
    assert f"2 images of training.csv are missing (first: {folder}/" in caplog.text
    assert data.skipped["images of training.csv are missing"] == 2
    assert "train: 17 images (published 287651)" in caplog.text and "neutral 2 (published 74874)" in caplog.text


def test_a_list_without_any_image(cfg, tmp_path):
    shutil.rmtree(make_affectnet_csv(tmp_path) / "Manually_Annotated_Images/1")
    shutil.rmtree(tmp_path / "AffectNet/Manually_Annotated_Images/2")
    with pytest.raises(MissingDataError, match="none of the images"):
        AffectNet8(cfg)
    shutil.rmtree(tmp_path / "AffectNet/Manually_Annotated_Images")
    with pytest.raises(MissingDataError, match=r"not its images: expected .*Manually_Annotated_Images/1"):
        AffectNet8(cfg)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (affectnet_row("1/a.jpg", 11), r"training\.csv, line 24: the expression must be from 0 to 10, not '11'"),
        (affectnet_row("1/a.jpg", "happy"), "not 'happy'"),
        (affectnet_row("1/a.jpg", "3.7"), "not '3.7'"),
        (affectnet_row("1/a.jpg", "nan"), "not 'nan'"),
        (affectnet_row("1/a.jpg", "inf"), "not 'inf'"),
        ("1/a.jpg,1,2", "line 24: expected 9 columns"),
    ],
)
def test_bad_row_is_named_with_its_line(cfg, tmp_path, row, message):
    edit(make_affectnet_csv(tmp_path) / "Manually_Annotated_file_lists/training.csv", row)
    with pytest.raises(ValueError, match=message):
        AffectNet8(cfg)


# --- faces ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("margin", "size"), [(0.0, (30, 24)), (0.1, (36, 28)), (5.0, (48, 40))])
def test_faces_are_cut_by_the_box(cfg, tmp_path, margin, size):
    folder = make_affectnet_csv(tmp_path)
    cfg.DATASET.FACE_BOX = margin
    data = AffectNet7(cfg)
    with Image.open(data.train_x[0].impath) as face:
        assert face.size == size
    assert all(Path(d.impath).is_relative_to(folder / "mpafer_crops") for d in [*data.train_x, *data.test])
    assert AffectNet7(cfg).train_x == data.train_x


def test_bad_boxes_and_several_faces_in_a_picture(cfg, tmp_path, caplog):
    source = make_affectnet_csv(tmp_path) / "Manually_Annotated_file_lists/training.csv"
    name = affectnet_name(0)
    boxes = ["1.0,2.0,30.0,20.0", "40,30,100,100", "1,2,-5,20", ",,,", "1,2,0,0", "nan,1,2,3"]
    edit(source, *(affectnet_row(name, 0, box) for box in boxes))
    cfg.DATASET.FACE_BOX = 0.0
    with caplog.at_level(logging.WARNING, "mpafer.datasets"):
        data = AffectNet7(cfg)
    sizes = []
    for datum in data.train_x[-6:]:
        with Image.open(datum.impath) as face:
            sizes.append(face.size)
    assert sizes == [(30, 20), (8, 10), *4 * [(48, 40)]], "cut at the border; whole where there is no box"
    assert "4 faces have no usable box" in caplog.text
    edit(source, affectnet_row(name, 0, "500,500,20,20"))
    with pytest.raises(ValueError, match=r"training\.csv, line 30.*FACE_BOX -1.*encloses nothing"):
        AffectNet7(cfg)


# --- what is odd in the npy release ---------------------------------------------------------------


def test_annotations_and_images_without_the_other(cfg, tmp_path, caplog):
    folder = make_affectnet_npy(tmp_path) / "train_set"
    (folder / "images/0.jpg").unlink()
    (folder / "annotations/2_exp.npy").unlink()
    with caplog.at_level(logging.WARNING, "mpafer.datasets"):
        assert len(AffectNet8(cfg).train_x) == 14
    assert "have no image (first: " in caplog.text and "have no annotation (first: " in caplog.text
    assert f"{folder}/images/2.jpg" in caplog.text and "0_exp.npy" in caplog.text


@pytest.mark.parametrize("value", ["12", "-1", "3.7", 3.7, "happy", np.zeros(3), ""])
def test_bad_annotation_is_named(cfg, tmp_path, value):
    path = make_affectnet_npy(tmp_path) / "val_set/annotations/0_exp.npy"
    np.save(path, value)
    with pytest.raises(ValueError, match=r"val_set/annotations/0_exp\.npy"):
        AffectNet8(cfg)


def test_truncated_annotation_is_named(cfg, tmp_path):
    path = make_affectnet_npy(tmp_path) / "val_set/annotations/0_exp.npy"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ValueError, match=r"0_exp\.npy does not hold one expression"):
        AffectNet8(cfg)


def test_an_archive_under_an_annotations_name(cfg, tmp_path):
    path = make_affectnet_npy(tmp_path) / "val_set/annotations/0_exp.npy"
    with path.open("wb") as file:
        np.savez(file, expression=np.array("1"))
    with pytest.raises(ValueError, match=r"0_exp\.npy does not hold one expression: it is an \.npz archive$"):
        AffectNet8(cfg)


def test_a_release_in_parts(cfg, tmp_path):
    shutil.rmtree(make_affectnet_npy(tmp_path) / "val_set")
    with pytest.raises(MissingDataError, match="val_set/images"):
        AffectNet8(cfg)


def test_nothing_there(cfg, tmp_path):
    with pytest.raises(MissingDataError, match=r"AffectNet8 was not found(.|\n)*validation\.csv(.|\n)*mohammadmahoor"):
        AffectNet8(cfg)


# --- the list of what is there is made once -------------------------------------------------------


@pytest.mark.parametrize(("make", "scan"), [(make_affectnet_csv, "read_csv"), (make_affectnet_npy, "read_npy")])
def test_big_folders_are_looked_through_once(cfg, tmp_path, monkeypatch, own_cache, make, scan):
    make(tmp_path)
    first = AffectNet8(cfg)
    calls = []
    real = getattr(affectnet, scan)
    monkeypatch.setattr(affectnet, scan, lambda *args: calls.append(args) or real(*args))
    again = AffectNet7(cfg)
    assert not calls and again.train_x == [d for d in first.train_x if d.classname != "contempt"]
    Path(first.train_x[0].impath).unlink()
    assert len(AffectNet8(cfg).train_x) == len(first.train_x) - 1 and calls, "a file that goes is noticed"
    calls.clear()
    for file in (own_cache / "lists").iterdir():
        file.write_text("[")
    assert len(AffectNet8(cfg).train_x) == len(first.train_x) - 1 and len(calls) == 2, "a damaged list is made again"


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, caplog, own_cache):
    own_cache.write_text("a file")
    assert cache.remembered([tmp_path], "things", lambda: [1]) == [1]
    assert "the list of things is not kept" in caplog.text


def test_every_new_column_stands_where_the_header_says():
    assert ",".join(affectnet_files.COLUMNS) == AFFECTNET_HEADER


def test_a_label_written_in_place_is_seen(cfg, tmp_path, own_cache):
    """Nothing comes or goes in the folder, so its times stay: the file's own tell."""
    make_affectnet_npy(tmp_path)
    cfg.DATASET.ROOT = str(tmp_path)
    before = tally(AffectNet8(cfg).train_x)
    file = min((tmp_path / "AffectNet/train_set/annotations").glob("*_exp.npy"))
    place, value = file.parent.stat(), int(np.load(file))
    changed = np.array(str((value + 1) % 8))
    with open(file, "r+b") as out:
        out.write(file.read_bytes().replace(np.array(str(value)).tobytes(), changed.tobytes()))
    assert file.parent.stat().st_mtime_ns == place.st_mtime_ns
    assert tally(AffectNet8(cfg).train_x) != before
