"""FER2013 and FERPlus: pixels in CSV files, votes and their rules, folders."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from miniatures import noise
from miniatures_fer import (
    CLASSES,
    FER2013 as FER2013_NAMES,
    VOTES,
    fer2013_rows,
    ferplus_ballots,
    make_fer2013,
    make_ferplus,
    make_ferplus_parts,
    make_folders,
    pixels,
    write_votes,
)
from PIL import Image
from test_datasets_affectnet import tally

from mpafer.datasets import cache, pixels as pixel_files
from mpafer.datasets.fer2013 import FER2013
from mpafer.datasets.ferplus import FERPlus, FERPlus7
from mpafer.datasets.files import MissingDataError
from mpafer.datasets.labels import FER2013_IDS, FERPLUS_IDS
from mpafer.datasets.votes import PUBLISHED, PUBLISHED_PARTS, RULES

pytestmark = pytest.mark.usefixtures("own_cache")
MIRROR = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
FORMS = {
    "official": {},
    "root": {"name": "fer2013.csv"},
    "beside the votes": {"name": "FERPlus/fer2013.csv"},
    "deeper": {"name": "fer2013/fer2013/fer2013.csv"},
    "quoted": {"form": '{emotion},"{pixels}",{usage}'},
    "another order, blanks": {
        "name": "fer2013/icml_face_data.csv",
        "header": "emotion, Usage, pixels",
        "form": "{emotion},{usage},{pixels}",
    },
    "CRLF, marked": {"header": "\ufeffemotion,pixels,Usage\r", "form": "{emotion},{pixels},{usage}\r"},
}

# --- FER2013 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_fer2013_table(cfg, tmp_path, form):
    source = make_fer2013(tmp_path, **FORMS[form])
    data = FER2013(cfg)
    assert data.classnames == list(CLASSES[:7])
    rows = iter(fer2013_rows())
    for part in (data.train_x, data.val, data.test):
        for datum, (emotion, text, _) in zip(part, rows, strict=False):
            assert datum.classname == FER2013_NAMES[emotion]
            with Image.open(datum.impath) as image:
                assert np.array_equal(np.asarray(image), np.array(text.split(), dtype=np.uint8).reshape(48, 48))
            assert Path(datum.impath).is_relative_to(source.parent / "mpafer_pixels")
        assert len(part) == 7


def test_pixels_are_decoded_once(cfg, tmp_path, monkeypatch):
    source = make_fer2013(tmp_path)
    first = [datum.impath for datum in FER2013(cfg).train_x]
    stamps = [os.stat(path).st_mtime_ns for path in first]
    parse = pixel_files._parse
    monkeypatch.setattr(pixel_files, "_parse", None)
    assert [datum.impath for datum in FER2013(cfg).train_x] == first
    assert [os.stat(path).st_mtime_ns for path in first] == stamps
    monkeypatch.setattr(pixel_files, "_parse", parse)
    Path(first[2]).unlink()
    assert all(Path(datum.impath).is_file() for datum in FER2013(cfg).train_x), "what is lost is made again"
    make_fer2013(tmp_path, rows=[(6 - emotion, pixels(99 + i), s) for i, (emotion, _, s) in enumerate(fer2013_rows())])
    assert not {datum.impath for datum in FER2013(cfg).train_x} & set(first), "another table, other images"
    assert source.is_file()


def test_pixels_go_to_the_cache_where_the_data_are_read_only(cfg, tmp_path, monkeypatch, own_cache):
    make_fer2013(tmp_path)
    monkeypatch.setattr(cache.os, "access", lambda *_: False)
    data = FER2013(cfg)
    assert all(Path(datum.impath).is_relative_to(own_cache / "pixels") for datum in [*data.train_x, *data.test])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0,1 2 3,Training", r"fer2013\.csv, line 2: 3 pixels instead of 2304"),
        (f"0,{pixels(0)} 300,Training", "line 2: expected an emotion, pixels from 0 to 255"),
        (f"0,{pixels(0)} x,Training", "line 2: expected an emotion"),
        (f"7,{pixels(0)},Training", "line 2: the emotion must be from 0 to 6, not '7'"),
        (f"x,{pixels(0)},Training", "not 'x'"),
        (f"0,{pixels(0)},Test", "line 2: Usage must be one of Training, PublicTest, PrivateTest, not 'Test'"),
        ("0", "line 2: expected"),
    ],
)
def test_bad_row_is_named_with_its_line(cfg, tmp_path, line, message):
    source = make_fer2013(tmp_path)
    lines = source.read_text().splitlines()
    source.write_text("\n".join([lines[0], line, *lines[2:]]))
    with pytest.raises(ValueError, match=message):
        FER2013(cfg)


def test_the_competitions_table_has_no_split(cfg, tmp_path):
    make_fer2013(tmp_path, header="emotion,pixels", form='{emotion},"{pixels}"')
    with pytest.raises(ValueError, match=r"no column Usage \(it has emotion, pixels\).*take fer2013\.csv"):
        FER2013(cfg)
    (tmp_path / "fer2013/fer2013.csv").write_text("")
    with pytest.raises(ValueError, match="it has nothing"):
        FER2013(cfg)


def test_the_mirrors_test_images_are_two_parts(cfg, tmp_path):
    folder = make_folders(tmp_path / "fer2013", {"train": MIRROR, "test": MIRROR}, each=2)
    for i, name in enumerate(MIRROR):
        noise(folder / "test" / name / f"PublicTest_{i}.jpg", (8, 8), i)
        noise(folder / "test" / name / f"PrivateTest_{i}.jpg", (8, 8), i)
    data = FER2013(cfg)
    assert tally(data.val) == dict.fromkeys(CLASSES[:7], 1)
    assert all(Path(datum.impath).name.startswith("PublicTest") for datum in data.val)
    assert tally(data.test) == dict.fromkeys(CLASSES[:7], 3)
    assert {Path(d.impath).parent.name for d in data.test if d.classname == "neutral"} == {"neutral"}


def test_the_mirror_without_origins_in_its_names(cfg, tmp_path):
    make_folders(tmp_path / "FER2013", {"train": [name.title() for name in MIRROR], "test": MIRROR})
    data = FER2013(cfg)
    assert not data.val and tally(data.test) == dict.fromkeys(CLASSES[:7], 1)


def test_a_folder_that_is_no_class(cfg, tmp_path):
    make_folders(tmp_path / "fer2013", {"train": [*MIRROR, "bored"], "test": MIRROR})
    with pytest.raises(ValueError, match=r"train/bored is no class folder: unknown expression 'bored'; known: surprise"):
        FER2013(cfg)


def test_published_sizes(cfg):
    assert [sum(FER2013.published[split]) for split in ("train", "val", "test")] == [28709, 3589, 3589]
    assert FER2013.published["train"][CLASSES.index("disgust")] == 436
    with pytest.raises(MissingDataError, match=r"FER2013 was not found(.|\n)*kaggle"):
        FER2013(cfg)


# --- FERPlus --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dataset", "classes"), [(FERPlus, 8), (FERPlus7, 7)])
@pytest.mark.parametrize("layout", ["rows", "rows in fer2013", "parts", "parts and votes", "images/", "data/"])
def test_ferplus_by_the_official_rule(cfg, tmp_path, dataset, classes, layout):
    if layout.startswith("rows"):
        make_ferplus(tmp_path, "fer2013" if "fer2013" in layout else "ferplus")
    else:
        base = "ferplus/" + (layout if layout.endswith("/") else "")
        make_ferplus_parts(tmp_path, base, labels=layout != "parts and votes")
    if layout == "parts and votes":
        write_votes(tmp_path / "ferplus/fer2013new.csv", ferplus_ballots())
    data = dataset(cfg)
    assert data.classnames == list(CLASSES[:classes])
    for split, part in {"train": data.train_x, "val": data.val, "test": data.test}.items():
        expected = [b for b in ferplus_ballots() if b[0] == split and b[1] and b[3] in CLASSES[:classes]]
        assert [datum.classname for datum in part] == [ballot[3] for ballot in expected]
        if not layout.startswith("rows"):
            assert [Path(datum.impath).name for datum in part] == [ballot[1] for ballot in expected]
        assert all(Path(datum.impath).is_file() for datum in part)


def test_rows_are_joined_by_their_place(cfg, tmp_path):
    make_ferplus(tmp_path)
    rows = [i for i, ballot in enumerate(ferplus_ballots()) if ballot[0] == "train" and ballot[3]]
    assert [int(Path(datum.impath).stem) for datum in FERPlus(cfg).train_x] == rows, "names skip numbers"


@pytest.mark.parametrize(
    ("rule", "winners"),
    [
        ("majority", ", neutral, disgust, , , contempt, happiness, surprise, sadness, anger, fear, "),
        ("first", "neutral, neutral, disgust, , , contempt, happiness, surprise, sadness, anger, fear, neutral"),
        ("untied", "neutral, neutral, disgust, , , contempt, happiness, surprise, sadness, anger, fear, "),
        (
            "first_of_eight",
            "neutral, neutral, disgust, surprise, neutral, contempt, happiness, surprise, sadness, anger, fear, neutral",
        ),
        ("cntk", ", neutral, disgust, , , contempt, happiness, surprise, sadness, anger, fear, neutral"),
        ("five", ", neutral, , , , contempt, happiness, surprise, sadness, anger, fear, neutral"),
        ("six", ", neutral, , , , , happiness, surprise, sadness, anger, fear, "),
    ],
)
def test_rules(rule, winners):
    assert [FERPLUS_IDS.get(RULES[rule](votes), "") for votes, _ in VOTES] == winners.split(", ")


def test_another_rule_and_an_unknown_one(cfg, tmp_path):
    make_ferplus(tmp_path)
    cfg.DATASET.LABEL_RULE = "first_of_eight"
    assert len(FERPlus(cfg).test) == len(VOTES) and len(FERPlus(cfg).train_x) == len(VOTES) - 1, "one has no name"
    cfg.DATASET.LABEL_RULE = "major"
    with pytest.raises(ValueError, match=r"DATASET\.LABEL_RULE is 'major': did you mean majority\?"):
        FERPlus(cfg)


def test_published_sizes_of_ferplus(cfg, tmp_path, caplog):
    totals = {rule: sum(map(sum, counts.values())) for rule, counts in PUBLISHED.items()}
    assert totals == {
        "majority": 31412, "first": 35488, "untied": 33712, "first_of_eight": 35714, "cntk": 32808, "five": 31758,
        "six": 27402,
    }  # fmt: skip
    assert [sum(map(sum, counts.values())) for counts in PUBLISHED_PARTS.values()] == [31408, 31373]
    make_ferplus(tmp_path)
    with caplog.at_level(logging.WARNING, "mpafer.datasets"):
        FERPlus(cfg)
    assert "val: 8 images (published 3199)" in caplog.text and "contempt 1 (published 13)" in caplog.text


def test_a_name_that_occurs_twice(cfg, tmp_path):
    """The later row's picture is the one on disk, so its votes count."""
    folder = make_ferplus_parts(tmp_path)
    label = folder / "FER2013Test/label.csv"
    name = label.read_text().split(",")[0]
    label.write_text(label.read_text() + f'{name},"(0, 0, 48, 48)",0,0,0,0,0,0,10,0,0,0\n')
    assert [d.classname for d in FERPlus(cfg).test if d.impath.endswith(name)] == ["fear"]


def test_class_folders_of_ferplus_are_not_those_of_fer2013(cfg, tmp_path):
    names = ["angry", "contempt", "disgust", "fear", "happy", "neutral", "sad", "suprise"]
    make_folders(tmp_path / "ferplus", {"train": names, "validation": names, "test": names})
    assert tally(FERPlus(cfg).val) == dict.fromkeys(CLASSES, 1)
    assert tally(FERPlus7(cfg).train_x) == dict.fromkeys(CLASSES[:7], 1)
    with pytest.raises(MissingDataError, match="FER2013 was not found"):
        FER2013(cfg)
    (tmp_path / "ferplus").rename(tmp_path / "fer2013")
    assert len(FER2013(cfg).test) == 7
    with pytest.raises(MissingDataError, match="FERPlus was not found"):
        FERPlus(cfg)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: lines[:-1], r"36 rows, .*fer2013new\.csv has 35: rows belong together, get both whole"),
        (lambda lines: [lines[0], *lines[:0:-1]], "row 1 is of train in .* and of test in .*sorted anew"),
        (lambda lines: [*lines[:2], "Training,a.png,1,2", *lines[3:]], "line 3: expected 10 votes"),
        (lambda lines: [*lines[:2], lines[2].replace("Training", "Train"), *lines[3:]], "line 3: expected 10 votes"),
        (lambda lines: [*lines[:2], lines[2].replace("6", "x"), *lines[3:]], "line 3: expected 10 votes"),
    ],
)
def test_damaged_votes(cfg, tmp_path, damage, message):
    source = make_ferplus(tmp_path) / "fer2013new.csv"
    source.write_text("\n".join(damage(source.read_text().splitlines())))
    with pytest.raises(ValueError, match=message):
        FERPlus(cfg)


def test_parts_without_votes_or_images(cfg, tmp_path):
    folder = make_ferplus_parts(tmp_path)
    (folder / "FER2013Valid/label.csv").unlink()
    with pytest.raises(MissingDataError, match=r"no votes for .*FER2013Valid: expected .*fer2013new\.csv or .*label\.csv"):
        FERPlus(cfg)
    shutil.rmtree(folder)
    folder = make_ferplus_parts(tmp_path)
    next((folder / "FER2013Test").glob("*.png")).unlink()
    with pytest.raises(MissingDataError, match=r"1 of the 12 files for .*FER2013Test/label\.csv are missing"):
        FERPlus(cfg)
    for image in (folder / "FER2013Train").glob("*.png"):
        image.unlink()
    with pytest.raises(MissingDataError, match=r"none of its images .*generate_training_data\.py"):
        FERPlus(cfg)


# --- with the engine ------------------------------------------------------------------------------


def test_pixels_go_through_the_engine(tmp_path):
    """Results name the images relative to the data root, and prediction reads them."""
    from runs import make_trainer

    from mpafer.engine.builtin.data import read_image

    make_fer2013(tmp_path / "data", rows=fer2013_rows(each=3))
    trainer = make_trainer(tmp_path, tmp_path / "out", "MPAFER", dataset="fer2013", **{"OPTIM.MAX_EPOCH": 1})
    trainer.train()
    results = json.loads((tmp_path / "out/results.json").read_text())
    images = [row["image"] if isinstance(row, dict) else row for row in results["predictions"]]
    assert len(images) == 21 and all(image.startswith("fer2013/mpafer_pixels/") for image in images)
    assert read_image(str(tmp_path / "data" / images[0])).size == (48, 48)
    assert Counter(FER2013_IDS.values()) == Counter(CLASSES[:7])
    assert list((tmp_path / "cache/prototypes").iterdir())
