"""CK+ in its three forms, its protocols and folds; a data set to test on only."""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from support.miniatures_fer import (
    CK_SEQUENCES,
    CLASSES,
    fer2013_rows,
    make_ck48,
    make_ckplus,
    make_fer2013,
    tally,
)

from mpafer.datasets.ckplus import CKPlus, CKPlus8, CKPlusOptions
from mpafer.datasets.items import MissingDataError, Problems
from mpafer.datasets.labels import CKPLUS_IDS

IMAGES = "cohn-kanade-images"
PEAKS = {"disgust": 1, "surprise": 1, "happiness": 1, "anger": 1, "sadness": 1, "fear": 1}  # and contempt in CKPlus8
LABELLED = [sequence for sequence in CK_SEQUENCES if sequence[2]]


def names(data) -> list[str]:
    return [Path(datum.impath).stem for datum in data]


@pytest.mark.parametrize(
    "images", ["cohn-kanade-images", "extended-cohn-kanade-images", "cohn-kanade-images/cohn-kanade-images"]
)
@pytest.mark.parametrize("base", ["CK+", "ckplus", "."])
def test_first_and_last_frames(cfg, tmp_path, base, images):
    make_ckplus(tmp_path, base, images)
    data = CKPlus(cfg)
    assert data.classnames == list(CLASSES[:7]) and data.test_only and not data.val
    assert not {item.impath for item in data.train_x} & {item.impath for item in data.test}
    assert "it is a test set: DATASET.FOLD, 1 to 10" in data.train_x[0].impath
    assert tally(data.test) == PEAKS | {"neutral": 5}, "six sequences of ours, one of a single frame"
    found = {name: datum.classname for name, datum in zip(names(data.test), data.test, strict=True)}
    for subject, sequence, emotion, numbers in LABELLED:
        first, last = (f"{subject}_{sequence}_{number:08d}" for number in (numbers[0], numbers[-1]))
        assert found.get(last) == (CKPLUS_IDS[emotion] if emotion != 2 else None)
        assert found.get(first) == (None if emotion == 2 else "neutral" if first != last else CKPLUS_IDS[emotion])
    assert not [name for name in found if name.startswith("S022")]


@pytest.mark.parametrize(
    ("dataset", "neutral", "frames", "expected"),
    [
        (CKPlus, "labelled", 1, PEAKS | {"neutral": 6}),
        (CKPlus, "all", 1, PEAKS | {"neutral": 8}),
        (CKPlus, "none", 1, PEAKS),
        (CKPlus8, "used", 1, PEAKS | {"neutral": 6, "contempt": 1}),
        (CKPlus8, "none", 1, PEAKS | {"contempt": 1}),
        # the sequence of one frame has one, and a first frame among the last three is not neutral
        (CKPlus, "used", 3, dict.fromkeys(PEAKS, 3) | {"happiness": 1, "neutral": 3}),
    ],
)
def test_protocols(cfg, tmp_path, dataset, neutral, frames, expected):
    make_ckplus(tmp_path)
    cfg.DATASET.NEUTRAL, cfg.DATASET.FRAMES = neutral, frames
    data = dataset(cfg)
    assert tally(data.test) == expected
    assert data.num_classes == len(dataset.classes), "the head keeps its outputs where a class is absent"
    assert len(set(names(data.test))) == len(data.test)


@pytest.mark.parametrize(
    ("dataset", "neutral", "frames", "total"),
    [
        (CKPlus, "used", 1, 618), (CKPlus, "labelled", 1, 636), (CKPlus, "none", 1, 309), (CKPlus, "used", 3, 1236),
        (CKPlus8, "used", 1, 654), (CKPlus8, "used", 3, 1308), (CKPlus8, "all", 1, 920), (CKPlus8, "none", 3, 981),
    ],
)  # fmt: skip
def test_published_sizes(cfg, tmp_path, caplog, dataset, neutral, frames, total):
    make_ckplus(tmp_path)
    cfg.DATASET.NEUTRAL, cfg.DATASET.FRAMES = neutral, frames
    with caplog.at_level(logging.WARNING, "mpafer.datasets"):
        dataset(cfg)
    assert f"images (published {total})" in caplog.text


def test_faces_are_cut_along_the_landmarks(cfg, tmp_path):
    make_ckplus(tmp_path)
    with Image.open(CKPlus(cfg).test[0].impath) as frame:
        assert frame.size == (64, 49), "whole: the margin is in the data set's YAML"
    cfg.DATASET.FACE_BOX = 0.2  # landmarks from 20 to 39 and from 10 to 39
    data = CKPlus(cfg)
    for datum in data.test:
        with Image.open(datum.impath) as face:
            assert face.size == (43 - 16, 45 - 4) and face.mode == "RGB"
    (tmp_path / "CK+/Landmarks/S005/001/S005_001_00000004_landmarks.txt").write_text("")
    with pytest.raises(ValueError, match=r"S005_001_00000004_landmarks\.txt: expected rows of x and y"):
        CKPlus(cfg)
    shutil.rmtree(tmp_path / "CK+/Landmarks")
    with pytest.raises(MissingDataError, match=r"S005_001_00000004_landmarks\.txt; unpack Landmarks.*FACE_BOX -1"):
        CKPlus(cfg)


# --- folds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [make_ckplus, make_ck48])
@pytest.mark.parametrize("dataset", [CKPlus, CKPlus8])
def test_folds_are_by_subject(cfg, tmp_path, make, dataset):
    make(tmp_path)
    subjects = sorted({sequence[0] for sequence in LABELLED})  # six; S022 has no label
    whole, tested = names(dataset(cfg).test), []
    for fold, subject in enumerate(subjects, start=1):
        data = dataset.__new__(dataset)  # __init__ refuses so small a training part, which lacks a class
        data.options, data.problems = CKPlusOptions(fold=fold), Problems()
        train, test = ([Path(item.impath).stem for item in data.find(tmp_path)[split]] for split in ("train", "test"))
        # S011 shows nothing but contempt: in seven classes its fold is empty, and yet it is dealt
        assert {name[:4] for name in test} == ({subject} if subject != "S011" or dataset is CKPlus8 else set())
        assert sorted(train + test) == sorted(whole)
        tested += test
    assert sorted(tested) == sorted(whole)


def test_a_fold_and_classes_that_training_lacks(cfg, tmp_path):
    make_ckplus(tmp_path)
    cfg.DATASET.FOLD = 1
    with pytest.raises(MissingDataError, match=r"no training image of disgust; .*DATASET\.SUBSAMPLE_CLASSES"):
        CKPlus(cfg)
    cfg.DATASET.SUBSAMPLE_CLASSES, cfg.DATASET.NEUTRAL = "anger,surprise,disgust", "all"
    with pytest.raises(MissingDataError, match="no training image of disgust"):
        CKPlus(cfg)
    cfg.DATASET.SUBSAMPLE_CLASSES, cfg.DATASET.FOLD = "disgust,neutral", 2
    data = CKPlus(cfg)
    assert not data.test_only and data.classnames == ["disgust", "neutral"]
    assert {name[:4] for name in names(data.test)} == {"S010"}
    assert "S022_001_00000001" in names(data.train_x), "a subject without a label is always trained on"


def test_folds_of_the_real_sizes():
    """118 subjects: eight folds of twelve, two of eleven."""
    from mpafer.datasets.ckplus_files import Frame, subject_folds

    frames = [Frame("a", "anger", f"S{i:03d}") for i in range(5, 123)] + [Frame("b", "neutral", "S999", False)]
    folds = subject_folds(frames[::-1], Path(), 10)
    assert sorted(Counter(folds.values()).items()) == [(k, 12 if k < 9 else 11) for k in range(1, 11)]
    assert folds["S005"] == folds["S015"] == 1 and "S999" not in folds


# --- the mirrors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["CK+/CK+48", "CK+48", "ckplus", "."])
def test_class_folders_have_no_neutral(cfg, tmp_path, caplog, base):
    make_ck48(tmp_path, base)
    with caplog.at_level(logging.WARNING, "mpafer.datasets"):
        data = CKPlus(cfg)
    assert tally(data.test) == dict.fromkeys(PEAKS, 3) and data.classnames == list(CLASSES[:7])
    assert "no image of neutral" in caplog.text and "published 927" in caplog.text
    assert tally(CKPlus8(cfg).test) == dict.fromkeys([*PEAKS, "contempt"], 3)


def test_table_of_pixels(cfg, tmp_path, caplog):
    make_fer2013(tmp_path, "ckplus/ckextended.csv", rows=fer2013_rows(emotions=8))
    with caplog.at_level(logging.WARNING, "mpafer.datasets"):
        assert tally(CKPlus8(cfg).test) == dict.fromkeys(CLASSES, 3), "its random Usage is not a split by subject"
    assert "published 920" in caplog.text
    assert len(CKPlus(cfg).test) == 21
    cfg.DATASET.FOLD = 1
    with pytest.raises(ValueError, match=r"DATASET\.FOLD: folds are by subject.*ckplus does not tell them.*or FOLD 0"):
        CKPlus(cfg)


# --- what is wrong is reported ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("NEUTRAL", "use", r"DATASET\.NEUTRAL is 'use'; choose one of used, labelled, all, none"),
        ("FRAMES", 0, r"DATASET\.FRAMES is 0; it must be at least 1"),
        ("FRAMES", "2", r"DATASET\.FRAMES is '2'; it must be of type int"),
        ("FOLD", 11, r"DATASET\.FOLD is 11; it must be at most 10"),
        ("FOLD", -1, r"DATASET\.FOLD is -1; it must be at least 0"),
        ("NUM_SHOTS", 4, "CKPlus is a test set, DATASET.NUM_SHOTS has no training images"),
    ],
)
def test_bad_options(cfg, tmp_path, option, value, message):
    make_ckplus(tmp_path)
    cfg.DATASET[option] = value
    with pytest.raises(ValueError, match=message):
        CKPlus(cfg)


@pytest.mark.parametrize("text", ["", "   8.0000000e+00\n", "happy"])
def test_bad_label_is_named(cfg, tmp_path, text):
    (make_ckplus(tmp_path) / "Emotion/S005/001/S005_001_00000004_emotion.txt").write_text(text)
    with pytest.raises(ValueError, match=r"S005_001_00000004_emotion\.txt: expected a number from 0 to 7"):
        CKPlus(cfg)


def test_a_labelled_frame_is_missing(cfg, tmp_path):
    images = make_ckplus(tmp_path) / "cohn-kanade-images"
    (images / "S005/001/S005_001_00000004.png").unlink()
    with pytest.raises(MissingDataError, match=r"1 labelled frames are missing(.|\n)*S005_001_00000004\.png"):
        CKPlus(cfg)


def test_labels_are_missing(cfg, tmp_path):
    folder = make_ckplus(tmp_path)
    for file in (folder / "Emotion").rglob("*.txt"):
        file.unlink()
    with pytest.raises(MissingDataError, match="no labelled sequence"):
        CKPlus(cfg)
    shutil.rmtree(folder / "Emotion")
    with pytest.raises(MissingDataError, match=r"not its labels: expected .*_emotion\.txt"):
        CKPlus(cfg)
    shutil.rmtree(folder)
    with pytest.raises(MissingDataError, match=r"CKPlus was not found(.|\n)*signed agreement"):
        CKPlus(cfg)


# --- with the engine: a model trained elsewhere is tested on it -----------------------------------


def test_train_elsewhere_test_here(tmp_path):
    from support.miniatures import make_rafdb
    from support.runs import make_trainer

    make_rafdb(tmp_path / "data", train=2)
    make_ckplus(tmp_path / "data")
    trained = make_trainer(tmp_path, tmp_path / "raf", "MPAFER", **{"OPTIM.MAX_EPOCH": 1})
    trained.train()
    for options, present in (({}, 7), ({"DATASET.NEUTRAL": "none"}, 6)):
        tested = make_trainer(tmp_path, tmp_path / "ck", "MPAFER", dataset="ckplus", **options)
        tested.load_model(str(tmp_path / "raf"))
        tested.test()
        metrics = json.loads((tmp_path / "ck/results.json").read_text())["metrics"]
        recalls = [value for value in metrics["per_class_recall"].values() if value is not None]
        assert len(metrics["per_class_recall"]) == 7 and len(recalls) == present
        assert metrics["uar"] == pytest.approx(sum(recalls) / present), "absent classes do not count"
    with pytest.raises(ValueError, match=r"CKPlus has no training images here, it is a test set.*mpafer.cross RUN"):
        tested.train()
    make_trainer(tmp_path, tmp_path / "zero", "ZeroshotCLIP", dataset="ckplus").train()  # which only tests
    assert (tmp_path / "zero/results.json").is_file()
