"""FERPlus: votes and their rules, joined row by row or by name."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
from support.miniatures_fer import (
    CLASSES,
    VOTES,
    ferplus_ballots,
    make_ferplus,
    make_ferplus_parts,
    make_folders,
    tally,
    write_votes,
)

from mpafer.datasets.fer2013 import FER2013
from mpafer.datasets.ferplus import FERPlus, FERPlus7
from mpafer.datasets.items import MissingDataError
from mpafer.datasets.labels import FERPLUS_IDS
from mpafer.datasets.votes import PUBLISHED, PUBLISHED_PARTS, RULES


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
            "neutral, neutral, disgust, surprise, neutral, contempt, "
            "happiness, surprise, sadness, anger, fear, neutral",
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
    with pytest.raises(ValueError, match=r"DATASET\.LABEL_RULE is 'major'; choose one of majority, first, untied, "):
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
    with pytest.raises(MissingDataError, match=r"no votes for .*Valid: expected .*fer2013new\.csv or .*label\.csv"):
        FERPlus(cfg)
    shutil.rmtree(folder)
    folder = make_ferplus_parts(tmp_path)
    labelled = Path(FERPlus(cfg).test[0].impath)
    labelled.unlink()
    with pytest.raises(MissingDataError, match=r"1 of the 8 files for .*FER2013Test/label\.csv are missing"):
        FERPlus(cfg)
    for image in (folder / "FER2013Train").glob("*.png"):
        image.unlink()
    with pytest.raises(MissingDataError, match=r"none of its images .*generate_training_data\.py"):
        FERPlus(cfg)


def test_pictures_without_a_label_are_not_needed(cfg, tmp_path):
    folder = make_ferplus_parts(tmp_path)
    data = FERPlus(cfg)
    used = {datum.impath for datum in [*data.train_x, *data.val, *data.test]}
    rest = [path for path in folder.glob("*/*.png") if str(path) not in used]
    for path in rest:
        path.unlink()
    assert rest and FERPlus(cfg).train_x == data.train_x


def test_votes_without_images(cfg, tmp_path):
    (make_ferplus(tmp_path) / "fer2013.csv").unlink()
    with pytest.raises(MissingDataError, match=r"fer2013new\.csv is there, but not its images: put fer2013\.csv"):
        FERPlus(cfg)
