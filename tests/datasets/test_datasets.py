"""RAF-DB in every layout, its checks and splits; drawn faces; which data sets there are."""

from __future__ import annotations

import json
import logging
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml
from PIL import Image, ImageChops, ImageStat
from support.miniatures import RAFDB_LAYOUTS, make_rafdb, make_sketchfer, rafdb_rows

from mpafer.datasets import DATASETS, crops, find_dataset, labels
from mpafer.datasets import items as files
from mpafer.datasets.items import MissingDataError
from mpafer.datasets.rafdb import RAFDB
from mpafer.prompting.expressions import CLASSES

OFFICIAL = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]


def stems(data) -> list[str]:
    return [Path(datum.impath).stem.removesuffix("_aligned") for datum in data]


# --- layouts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", RAFDB_LAYOUTS)
def test_every_layout_reads_alike(cfg, tmp_path, layout):
    make_rafdb(tmp_path, layout)
    data = RAFDB(cfg)
    assert data.classnames == OFFICIAL and data.num_classes == 7 and not data.val
    for split, found in (("train", data.train_x), ("test", data.test)):
        rows = {stem: label for stem, label in rafdb_rows() if stem.startswith(split)}
        assert dict(zip(stems(found), [datum.label + 1 for datum in found], strict=True)) == rows
        assert all(datum.classname == OFFICIAL[datum.label] for datum in found)
        assert all(Path(datum.impath).is_file() for datum in found)
        if "class folders" not in layout:
            assert stems(found) == list(rows), "the order of the list decides few-shot draws"


def test_aligned_images_are_preferred_to_originals(cfg, tmp_path):
    make_rafdb(tmp_path, "originals")
    make_rafdb(tmp_path, "official")
    assert all(Path(datum.impath).parent.name == "aligned" for datum in RAFDB(cfg).train_x)


# --- faces cut out of originals -------------------------------------------------------------------


def test_crops_are_the_box_with_its_margin_and_made_once(cfg, tmp_path, monkeypatch):
    folder = make_rafdb(tmp_path, "originals")
    first = RAFDB(cfg).train_x[0].impath
    assert Path(first).is_relative_to(folder / "Image" / "mpafer_crops")
    with Image.open(first) as face:
        # the box 10.5..90 x 8..100 and a tenth of its sides all round, cut at the border: 3..98 x 0..109
        assert face.size == (98 - 3, 109 - 0)
        with Image.open(folder / "Image/original" / Path(first).name) as photograph:
            expected, shifted = (photograph.crop(box) for box in ((3, 0, 98, 109), (4, 1, 99, 110)))
        assert max(ImageStat.Stat(ImageChops.difference(face, expected)).mean) < 12  # JPEG again
        assert min(ImageStat.Stat(ImageChops.difference(face, shifted)).mean) > 40, "the control"
    monkeypatch.setattr(crops, "face_box", None)  # a second run must not cut again
    assert RAFDB(cfg).train_x[0].impath == first
    next((folder / "Annotation/boundingbox").iterdir()).write_text("0 0 50 50")
    with pytest.raises(TypeError):  # another box is another key: cut again, with the function taken away
        RAFDB(cfg)


def test_crops_go_to_the_cache_where_the_data_are_read_only(cfg, tmp_path, monkeypatch, own_cache):
    make_rafdb(tmp_path, "originals")
    monkeypatch.setattr(crops.os, "access", lambda *_: False)
    assert Path(RAFDB(cfg).train_x[0].impath).is_relative_to(own_cache / "crops")
    monkeypatch.delenv("MPAFER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert Path(RAFDB(cfg).train_x[0].impath).is_relative_to(tmp_path / "xdg/mpafer/crops")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10 20 30", "expected four numbers"),
        ("a b c d", "expected four numbers"),
        ("90 8 10 100", "encloses nothing"),
        ("500 500 600 600", "encloses nothing"),
    ],
)
def test_bad_box_is_named(cfg, tmp_path, text, message):
    box = make_rafdb(tmp_path, "originals") / "Annotation/boundingbox/train_00003_boundingbox.txt"
    box.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        RAFDB(cfg)
    assert str(box) in str(error.value)


def test_originals_without_boxes(cfg, tmp_path):
    shutil.rmtree(make_rafdb(tmp_path, "originals") / "Annotation")
    with pytest.raises(MissingDataError, match=r"no boxes.*train_00001_boundingbox\.txt"):
        RAFDB(cfg)


# --- what is wrong is reported ------------------------------------------------------------------------


def test_missing_data_shows_tree_and_access(cfg, tmp_path):
    (tmp_path / "RAF-DB").mkdir()  # an empty folder of the right name is no data set
    with pytest.raises(MissingDataError) as error:
        RAFDB(cfg)
    for part in (str(tmp_path), "list_patition_label.txt", "train_00001_aligned.jpg", "whdeng.cn", "--root"):
        assert part in str(error.value)
    assert isinstance(error.value, FileNotFoundError)


def test_list_without_images(cfg, tmp_path):
    shutil.rmtree(make_rafdb(tmp_path) / "Image")
    with pytest.raises(MissingDataError, match=r"none of its images.*train_00001_aligned\.jpg"):
        RAFDB(cfg)


def test_missing_images_are_counted_and_named(cfg, tmp_path):
    images = make_rafdb(tmp_path) / "Image/aligned"
    for name in ("train_00004", "test_0002"):
        (images / f"{name}_aligned.jpg").unlink()
    with pytest.raises(MissingDataError, match="2 of the 21 files") as error:
        RAFDB(cfg)
    assert "train_00004_aligned.jpg" in str(error.value) and "train_00005" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train_00003.jpg 0", "line 3.*from 1 to 7"),
        ("train_00003.jpg 8", "line 3.*from 1 to 7"),
        ("train_00003.jpg", "line 3.*from 1 to 7"),
        ("valid_00003.jpg 2", "line 3.*train_ or test_"),
        ("train_00002.jpg 2", "line 3.*second time"),
    ],
)
def test_bad_line_is_named_with_its_number(cfg, tmp_path, line, message):
    source = make_rafdb(tmp_path) / "EmoLabel/list_patition_label.txt"
    lines = source.read_text().splitlines()
    source.write_text("\n".join([*lines[:2], line, *lines[3:]]))
    with pytest.raises(ValueError, match=message):
        RAFDB(cfg)


def test_missing_class_folder(cfg, tmp_path):
    shutil.rmtree(make_rafdb(tmp_path, "class folders") / "test/3")
    with pytest.raises(MissingDataError, match=r"test/3 for the images of disgust"):
        RAFDB(cfg)


def test_no_test_images(cfg, tmp_path):
    source = make_rafdb(tmp_path) / "EmoLabel/list_patition_label.txt"
    source.write_text("\n".join(line for line in source.read_text().splitlines() if line.startswith("train")))
    with pytest.raises(MissingDataError, match="no test image"):
        RAFDB(cfg)


def test_empty_list(cfg, tmp_path):
    (make_rafdb(tmp_path) / "EmoLabel/list_patition_label.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"list_patition_label\.txt is empty"):
        RAFDB(cfg)


def test_class_without_training_images(cfg, tmp_path):
    source = make_rafdb(tmp_path) / "EmoLabel/list_patition_label.txt"
    lines = source.read_text().splitlines()
    source.write_text("\n".join(line for line in lines if not line.startswith("train") or line[-1] != "2"))
    with pytest.raises(MissingDataError, match="no training image of fear"):
        RAFDB(cfg)


def test_counts_are_compared_with_the_published_ones(cfg, tmp_path, caplog, monkeypatch):
    make_rafdb(tmp_path)
    with caplog.at_level(logging.WARNING, "mpafer.datasets"):
        RAFDB(cfg)
    assert "train: 14 images (published 12271)" in caplog.text and "fear 2 (published 281)" in caplog.text
    caplog.clear()
    monkeypatch.setattr(RAFDB, "published", {"train": (2,) * 7, "test": (1,) * 7})
    RAFDB(cfg)
    assert not caplog.records, "no warning where nothing differs"


# --- splits ---------------------------------------------------------------------------------------


def test_few_shots_are_the_draw_of_coop(cfg, tmp_path):
    make_rafdb(tmp_path, train=9)
    cfg.DATASET.NUM_SHOTS = 3
    drawn = stems(RAFDB(cfg).train_x)
    # CoOp: random.sample per class, classes in order of appearance, from the run's seed
    by_class: dict[int, list[str]] = {}
    for stem, label in rafdb_rows(train=9):
        if stem.startswith("train"):
            by_class.setdefault(label, []).append(stem)
    expected = random.Random(cfg.SEED)
    assert drawn == [stem for members in by_class.values() for stem in expected.sample(members, 3)]

    random.random()  # what was drawn before must not matter
    state = random.getstate()
    assert stems(RAFDB(cfg).train_x) == drawn
    assert random.getstate() == state
    cfg.SEED = 2
    assert stems(RAFDB(cfg).train_x) != drawn


def test_classes_with_fewer_images_than_shots_are_said(cfg, tmp_path, caplog):
    make_rafdb(tmp_path, train=2)
    cfg.DATASET.NUM_SHOTS = 3
    dataset = RAFDB(cfg)
    assert dataset.fewer_images == dict.fromkeys(dataset.classnames, 2) and len(dataset.train_x) == 14
    (line,) = [record.message for record in caplog.records if "NUM_SHOTS" in record.message]
    assert line.startswith("RAFDB: fewer images than DATASET.NUM_SHOTS 3, all are taken: surprise 2, fear 2, ")
    cfg.DATASET.SUBSAMPLE_CLASSES = "fear,anger"
    assert RAFDB(cfg).fewer_images == {"fear": 2, "anger": 2}
    caplog.clear()
    cfg.DATASET.NUM_SHOTS = 2
    assert RAFDB(cfg).fewer_images == {} and not [line for line in caplog.messages if "NUM_SHOTS" in line]


@pytest.mark.parametrize(("option", "value"), [("FINAL_MODEL", "best_val"), ("SPLIT", "val")])
def test_validation_cut_is_stratified_disjoint_and_seeded(cfg, tmp_path, option, value):
    make_rafdb(tmp_path, train=10)
    everything = stems(RAFDB(cfg).train_x)
    cfg.TEST[option] = value
    cfg.DATASET.VAL_FRACTION = 0.2
    data = RAFDB(cfg)
    train, val = stems(data.train_x), stems(data.val)
    assert not set(train) & set(val) and set(train) | set(val) == set(everything)
    assert Counter(datum.label for datum in data.val) == dict.fromkeys(range(7), 2)
    assert train == [stem for stem in everything if stem in set(train)], "order kept"
    assert stems(RAFDB(cfg).val) == val
    cfg.SEED = 2
    assert stems(RAFDB(cfg).val) != val


def test_validation_images_in_a_few_shot_run(cfg, tmp_path):
    make_rafdb(tmp_path, train=20)
    cfg.TEST.FINAL_MODEL, cfg.DATASET.NUM_SHOTS, cfg.DATASET.VAL_FRACTION = "best_val", 8, 0.5
    data = RAFDB(cfg)
    assert set(Counter(datum.label for datum in data.train_x).values()) == {8}
    assert set(Counter(datum.label for datum in data.val).values()) == {4}
    assert not set(stems(data.train_x)) & set(stems(data.val))


@pytest.mark.parametrize(("fraction", "message"), [(0.0, "between 0 and 1"), (0.1, "every class in both parts")])
def test_impossible_validation_cut(cfg, tmp_path, fraction, message):
    make_rafdb(tmp_path)
    cfg.TEST.FINAL_MODEL, cfg.DATASET.VAL_FRACTION = "best_val", fraction
    with pytest.raises(ValueError, match=rf"DATASET\.VAL_FRACTION.*{message}"):
        RAFDB(cfg)


@pytest.mark.parametrize(
    ("which", "names"),
    [
        ("all", OFFICIAL),
        ("base", OFFICIAL[:4]),
        ("new", OFFICIAL[4:]),
        ("happy, anger", ["happiness", "anger"]),
    ],
)
def test_subset_of_classes(cfg, tmp_path, which, names):
    make_rafdb(tmp_path)
    cfg.DATASET.SUBSAMPLE_CLASSES = which
    data = RAFDB(cfg)
    assert data.classnames == names
    truth = dict(rafdb_rows())
    for datum, stem in zip([*data.train_x, *data.test], stems([*data.train_x, *data.test]), strict=True):
        assert OFFICIAL[truth[stem] - 1] == datum.classname == names[datum.label]
    assert len(data.test) == len(names)


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("half", "unknown expression 'half'"),
        ("anger,contempt", "no class contempt"),
        ("anger,angry", "a class twice"),
    ],
)
def test_bad_subset_of_classes(cfg, tmp_path, which, message):
    make_rafdb(tmp_path)
    cfg.DATASET.SUBSAMPLE_CLASSES = which
    with pytest.raises(ValueError, match=message):
        RAFDB(cfg)


# --- drawn faces ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "classes"), [("SketchFER", 7), ("SketchFER8", 8)])
def test_sketchfer_is_generated_once_and_read(cfg, tmp_path, monkeypatch, name, classes):
    from mpafer.datasets import sketchfer

    calls = []

    def generate(root, *_, **__):
        calls.append(root)
        rows = [
            {"file": f"{split}/{split}_{i}.png", "split": split, "label": label}
            for split in ("train", "test")
            for i, label in enumerate(CLASSES[::-1])
        ]
        for row in rows:
            (tmp_path / "sketchfer" / row["file"]).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "sketchfer" / row["file"]).touch()
        (tmp_path / "sketchfer/annotations.jsonl").write_text("\n".join(map(json.dumps, rows)))

    monkeypatch.setattr(sketchfer, "generate_dataset", generate)
    monkeypatch.setattr(sketchfer, "is_complete", lambda root, domain: (root / "sketchfer/annotations.jsonl").exists())
    dataset = getattr(sketchfer, name)
    data = dataset(cfg)
    assert data.classnames == list(CLASSES[:classes])
    assert len(data.train_x) == len(data.test) == classes
    dataset(cfg)
    assert len(calls) == 1


def test_drawn_faces_are_read_as_they_were_annotated(cfg, tmp_path):
    from mpafer.datasets import sketchfer

    folder = make_sketchfer(tmp_path)
    lines = (folder / "annotations.jsonl").read_text().splitlines()
    truth = {str(folder / row["file"]): row["label"] for row in map(json.loads, lines)}
    assert set(truth.values()) == set(CLASSES)
    for dataset, classes in ((sketchfer.SketchFER, CLASSES[:7]), (sketchfer.SketchFER8, CLASSES)):
        data = dataset(cfg)
        found = {datum.impath: datum.classname for datum in [*data.train_x, *data.test]}
        assert found == {path: label for path, label in truth.items() if label in classes}
        assert all(Path(path).is_file() for path in found)


# --- which there are ------------------------------------------------------------------------------


def test_every_data_set_has_a_yaml_that_names_it(repo):
    files = sorted((repo / "configs/datasets").glob("*.yaml"))
    names = {yaml.safe_load(file.read_text())["DATASET"]["NAME"] for file in files}
    assert names == set(DATASETS) and {"RAFDB", "SketchFER", "SketchFER8"} <= names
    assert all(find_dataset(name).__name__ == name for name in names)


def test_an_unknown_data_set_names_the_closest():
    with pytest.raises(ValueError, match=r"no data set 'RAF-DB': did you mean RAFDB\?"):
        find_dataset("RAF-DB")
    with pytest.raises(ValueError, match=r"no data set 'zzz': known: AffectNet7, .*SketchFERB"):
        find_dataset("zzz")


def test_ids_are_those_of_the_published_files():
    assert labels.RAFDB_IDS == {
        1: "surprise", 2: "fear", 3: "disgust", 4: "happiness", 5: "sadness", 6: "anger", 7: "neutral",
    }  # fmt: skip
    assert labels.in_order(labels.AFFECTNET_IDS, range(8)) == (3, 4, 5, 1, 2, 6, 0, 7)


# --- how files are found --------------------------------------------------------------------------


def test_no_single_looks_at_files(tmp_path, monkeypatch):
    """15,339 single looks are slow on a network disk; one listing per folder is not."""
    (tmp_path / "a.jpg").touch()
    listed = []
    listdir = files.os.listdir
    monkeypatch.setattr(files.os, "listdir", lambda folder: listed.append(folder) or listdir(folder))
    monkeypatch.setattr(files.os.path, "exists", None)
    monkeypatch.setattr(files.os, "stat", None)
    monkeypatch.setattr(files.os.path, "isdir", lambda folder: folder == str(tmp_path))
    found = files.locate(tmp_path, ["no/{}.jpg", "{}.jpg"], ["a"] * 9, tmp_path, files.Problems())
    assert found == [f"{tmp_path}/a.jpg"] * 9
    assert listed == [str(tmp_path)]
