"""What a data set's own rules leave out: counted by reason in the log, in `skipped` of results.json, by the doctor."""

from __future__ import annotations

import json
import logging

import pytest
from support.miniatures import make_rafdb, make_sketchfer, noise
from support.miniatures_fer import (
    make_affectnet_csv,
    make_ck48,
    make_ckplus,
    make_fer2013,
    make_ferplus,
    make_ferplus_parts,
    make_folders,
)
from support.miniatures_lists import make_yolo

from mpafer.datasets.__main__ import main
from mpafer.datasets.affectnet import AffectNet7, AffectNet8
from mpafer.datasets.ckplus import CKPlus, CKPlus8
from mpafer.datasets.fer2013 import FER2013
from mpafer.datasets.ferfolder import FERFolder
from mpafer.datasets.ferplus import FERPlus, FERPlus7
from mpafer.datasets.items import MissingDataError
from mpafer.datasets.rafdb import RAFDB
from mpafer.datasets.sketchfer import SketchFER

EIGHT = [str(number) for number in range(8)]
NO_CLASS = {"of none": 3, "of uncertain": 3, "of no face": 3}
VOTES = {"without a label by the rule majority": 6, "of unknown": 3, "of no face": 2, "without a name in the votes": 1}
FRAMES = {
    "frames that DATASET.FRAMES and NEUTRAL do not ask for": 10,  # nine in the middle, and of contempt the first one
    "frames of sequences without a label": 5,
    "of contempt": 1,
}


@pytest.mark.parametrize(
    ("make", "dataset", "expected"),
    [
        (make_affectnet_csv, AffectNet8, NO_CLASS),
        (make_affectnet_csv, AffectNet7, NO_CLASS | {"of contempt": 3}),
        (lambda root: make_folders(root / "AffectNet", {"train": [*EIGHT, "8"], "val": EIGHT}, each=2), AffectNet7,
         {"of contempt": 4, "of none": 2}),
        (lambda root: make_yolo(root / "AffectNet"), AffectNet7, {"of contempt": 2}),
        (make_ferplus, FERPlus, VOTES),
        (make_ferplus, FERPlus7, VOTES | {"of contempt": 3}),
        (lambda root: make_ferplus_parts(root), FERPlus,
         {key: n for key, n in VOTES.items() if key != "without a name in the votes"}),
        (make_fer2013, FER2013, {}),
        (make_rafdb, RAFDB, {}),
        (make_ckplus, CKPlus8, {key: n for key, n in FRAMES.items() if key != "of contempt"} | {
            "frames that DATASET.FRAMES and NEUTRAL do not ask for": 9}),
        (make_ckplus, CKPlus, FRAMES),
        (make_ck48, CKPlus, {"of contempt": 3}),
    ],
)  # fmt: skip
def test_what_is_left_out_is_counted(cfg, tmp_path, caplog, make, dataset, expected):
    """Every one of these was left out without a count before."""
    make(tmp_path)
    with caplog.at_level(logging.INFO, "mpafer.datasets"):
        data = dataset(cfg)
    assert data.skipped == expected
    told = [record for record in caplog.records if ": not used: " in record.getMessage()]
    assert [record.levelno for record in told] == [logging.INFO] * bool(expected), "its rules, so no warning"
    assert all(f"{number} {reason} (first: " in caplog.text for reason, number in expected.items())
    used = {item.impath for items in data.splits.values() for item in items}
    assert not used & {path for paths in data.problems.skipped.paths.values() for path in paths}


def test_drawn_faces_of_contempt(cfg, tmp_path):
    make_sketchfer(tmp_path)
    data = SketchFER(cfg)
    lines = (tmp_path / "sketchfer/annotations.jsonl").read_text().splitlines()
    contempt = sum(json.loads(line)["label"] == "contempt" for line in lines)
    assert contempt and data.skipped == {"of contempt": contempt}


def test_images_that_no_list_names(cfg, tmp_path):
    base = make_rafdb(tmp_path)
    noise(base / "Image/aligned/stranger.png", (16, 16), 1)
    (base / "Image/aligned/folder.png").mkdir()
    assert RAFDB(cfg).skipped == {"not listed": 1}


def test_one_s_own_test_classes_in_one_s_own_spelling(cfg, tmp_path):
    make_folders(tmp_path / "ferfolder", {"train": ["Happy", "fear"], "test": ["happy", "fear", "Very_Bored"]}, each=2)
    assert FERFolder(cfg).skipped == {"of Very_Bored": 2}


def test_the_doctor_counts_by_reason_and_asks_for_nothing(tmp_path, capsys):
    make_ferplus_parts(tmp_path)
    target = tmp_path / "doctor.json"
    with pytest.raises(SystemExit):
        main(["check", "ferplus7", "--root", str(tmp_path), "--json", str(target)])
    report = json.loads(target.read_text())
    assert report["skipped"] == {
        "without a label by the rule majority": 6, "of unknown": 3, "of no face": 2, "of contempt": 3,
    }  # fmt: skip
    (finding,) = (finding for finding in report["findings"] if finding["kind"] == "left_out")
    details = [case["detail"] for case in finding["cases"]]
    assert {reason: details.count(reason) for reason in details} == report["skipped"] and finding["severity"] == "note"
    assert "of contempt" in next(line for line in capsys.readouterr().out.splitlines() if line.startswith("not used:"))


# --- numbers of CK+ -------------------------------------------------------------------------------


def test_ckplus_in_another_order(cfg, tmp_path, caplog):
    """CLASS_IDS was no option of CK+."""
    make_ckplus(tmp_path)
    with caplog.at_level(logging.INFO, "mpafer.datasets"):
        before = {d.impath: d.classname for d in CKPlus8(cfg).test if d.classname != "neutral"}
    assert "numbers are read as 0 = neutral, 1 = anger," in caplog.text
    cfg.DATASET.CLASS_IDS = "0=neutral,1=fear,2=contempt,3=disgust,4=anger,5=happy,6=sad,7=surprise"
    after = {d.impath: d.classname for d in CKPlus8(cfg).test if d.classname != "neutral"}
    swapped = {"anger": "fear", "fear": "anger"}
    assert after == {path: swapped.get(name, name) for path, name in before.items()} and after != before


def test_ckplus_pixels_in_another_order_and_one_that_is_too_short(cfg, tmp_path):
    rows = [(number, " ".join(["7"] * 48 * 48), "train") for number in range(8)]
    make_fer2013(tmp_path, "ckplus/ckextended.csv", rows=rows)
    names = ["anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
    cfg.DATASET.CLASS_IDS = "alphabetical"
    assert [d.classname for d in sorted(CKPlus8(cfg).test, key=lambda d: d.impath)] == names
    cfg.DATASET.CLASS_IDS = "0=happy,1=sad"
    with pytest.raises(ValueError, match=r"no class has the number 2; say by DATASET\.CLASS_IDS"):
        CKPlus8(cfg)


def test_an_order_that_lacks_numbers_of_fer2013(cfg, tmp_path):
    """A KeyError before; and a class that is none here ended in tuple.index."""
    make_fer2013(tmp_path)
    cfg.DATASET.CLASS_IDS = "0=anger"
    with pytest.raises(ValueError, match=r"no class has the number \d"):
        FER2013(cfg)
    cfg.DATASET.CLASS_IDS = "0=contempt,1=disgust,2=fear,3=happy,4=sad,5=surprise,6=neutral"
    with pytest.raises(MissingDataError, match="no training image of anger"):
        FER2013(cfg)
    cfg.DATASET.SUBSAMPLE_CLASSES = "fear,happy"
    assert FER2013(cfg).skipped == {"of contempt": 3}
