"""Copies as they circulate: lists beside flat folders, YOLO folders, parquet shards, one tree and one list."""

from __future__ import annotations

import builtins
import logging
from pathlib import Path

import pytest
from PIL import Image
from support.miniatures import make_rafdb, noise, rafdb_rows, write
from support.miniatures_fer import AFFECTNET, CLASSES, FER2013, make_affectnet_csv, make_folders, tally
from support.miniatures_lists import make_shard, make_yolo

from mpafer.common.errors import DataError, MissingPackageError
from mpafer.datasets.affectnet import AffectNet7, AffectNet8
from mpafer.datasets.fer2013 import FER2013 as FER2013Set
from mpafer.datasets.ferfolder import FERFolder
from mpafer.datasets.ferplus import FERPlus
from mpafer.datasets.items import MissingDataError
from mpafer.datasets.rafdb import RAFDB

ALPHABET = ["Anger", "Contempt", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"]
NAMES = ["Surprise", "fear", "Disgust", "happy", "sad", "angry", "neutral"]  # RAF-DB's 1 to 7


def by_stem(data) -> dict[str, str]:
    found = [*data.train_x, *data.test]
    return {Path(datum.impath).stem.removesuffix("_aligned"): datum.classname for datum in found}


TRUTH = {stem: CLASSES[label - 1] for stem, label in rafdb_rows()}

# --- RAF-DB ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "line", "newline"),
    [
        ("", "{stem}.jpg\t{label}", "\n"),
        ("", "{stem}.jpg,{label}", "\n"),
        ("image,label", "{stem}.jpg, {label}", "\r\n"),
        ("", "{stem}_aligned.jpg {label} {name}", "\n"),
        (",image,label,score", "{label},{stem}.jpg,{label}.0,0.93", "\n"),
        ("", "{stem}.jpg {name}", "\n"),
        ("name;emotion", "{stem};{name}", "\n"),
    ],
)
def test_the_list_in_any_form(cfg, tmp_path, header, line, newline):
    folder = make_rafdb(tmp_path)
    before = RAFDB(cfg)
    rows = [line.format(stem=stem, label=label, name=NAMES[label - 1]) for stem, label in rafdb_rows()]
    write(folder / "EmoLabel/list_patition_label.txt", newline.join([header, *rows] if header else rows))
    data = RAFDB(cfg)
    assert by_stem(data) == TRUTH and data.train_x == before.train_x and data.test == before.test


@pytest.mark.parametrize("base", ["RAF-DB/DATASET", "rafdb", "."])
def test_class_folders_by_name(cfg, tmp_path, base):
    make_folders(tmp_path / base, {"train": NAMES, "test": NAMES})
    data = RAFDB(cfg)
    assert data.classnames == list(CLASSES[:7]) and tally(data.test) == dict.fromkeys(CLASSES[:7], 1)


@pytest.mark.parametrize("labels", ["{split}_labels.csv", "{split}/labels.csv", "labels_{split}.csv"])
@pytest.mark.parametrize("images", ["{split}", "DATASET/{split}", "images/{split}", "images"])
def test_flat_folders_and_a_list_each(cfg, tmp_path, labels, images):
    base = tmp_path / "RAF-DB"
    for split in ("train", "test"):
        rows = [(stem, label) for stem, label in rafdb_rows() if stem.startswith(split)]
        for number, (stem, _) in enumerate(rows):
            noise(base / images.format(split=split) / f"{stem}_aligned.jpg", (16, 16), number)
        lines = ["image,label", *(f"{stem}_aligned.jpg,{label}" for stem, label in rows)]
        write(base / labels.format(split=split), "\n".join(lines))
    assert by_stem(RAFDB(cfg)) == TRUTH


def test_other_sets_in_the_data_root_are_nobodys_copies(cfg, tmp_path):
    make_yolo(tmp_path, ALPHABET)
    write(tmp_path / "labels.csv", "a.jpg,happy,test")
    for dataset in (RAFDB, AffectNet8):
        with pytest.raises((DataError, MissingDataError), match=r"was not found|is no class folder"):
            dataset(cfg)


# --- AffectNet ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dataset", "classes"), [(AffectNet7, 7), (AffectNet8, 8)])
@pytest.mark.parametrize("form", ["a split each", "images and labels outside", "classes.txt"])
def test_yolo(cfg, tmp_path, caplog, dataset, classes, form):
    folder = make_yolo(tmp_path / "AffectNet", ALPHABET, each=2)
    if form == "images and labels outside":
        for split in ("train", "valid"):
            for kind in ("images", "labels"):
                (folder / kind).mkdir(exist_ok=True)
                (folder / split / kind).rename(folder / kind / split)
            (folder / split).rmdir()
    if form == "classes.txt":
        (folder / "data.yaml").unlink()
        write(folder / "classes.txt", "\n".join(ALPHABET) + "\n")
    with caplog.at_level(logging.INFO, "mpafer.datasets"):
        data = dataset(cfg)
    assert tally(data.train_x) == tally(data.test) == dict.fromkeys(CLASSES[:classes], 2)
    first = sorted(data.train_x, key=lambda datum: datum.impath)[0]
    assert first.classname == "anger", "the copy's own order, not AffectNet's"
    assert "0 = anger, 1 = contempt" in caplog.text and "as the copy says" in caplog.text


def test_yolo_without_names_is_affectnets_order_unless_said(cfg, tmp_path):
    make_yolo(tmp_path / "AffectNet")
    assert sorted(AffectNet8(cfg).train_x, key=lambda datum: datum.impath)[0].classname == "neutral"
    cfg.DATASET.CLASS_IDS = "alphabetical"
    assert sorted(AffectNet8(cfg).train_x, key=lambda datum: datum.impath)[0].classname == "anger"


def test_yolo_pictures_without_a_class_and_with_two(cfg, tmp_path, caplog):
    folder = make_yolo(tmp_path / "AffectNet", ALPHABET)
    (folder / "train/labels/image0000001.txt").unlink()
    write(folder / "train/labels/image0000002.txt", "")
    with (
        caplog.at_level(logging.WARNING, "mpafer.datasets"),
        pytest.raises(MissingDataError, match="no training image"),
    ):
        AffectNet8(cfg)
    assert "2 without a label (first: " in caplog.text
    write(folder / "train/labels/image0000002.txt", "1 0.5 0.5 1 1\n2 0.1 0.1 0.2 0.2\n")
    with pytest.raises(ValueError, match=r"image0000002\.txt: faces of the classes 1 and 2 in one picture"):
        AffectNet8(cfg)


def test_one_tree_and_one_list(cfg, tmp_path):
    base, lines = tmp_path / "AffectNet", [",pth,label,relFCs"]
    for number, name in enumerate(AFFECTNET * 5):
        noise(base / name / f"image{number:07d}.png", (16, 16), number)
        lines.append(f"{number},{name}/image{number:07d}.png,{name},0.87")
    write(base / "labels.csv", "\n".join(lines))
    with pytest.raises(ValueError, match=r"nothing in .* says which images are tested: .*DATASET\.TEST_SHARE 0\.2"):
        AffectNet8(cfg)
    cfg.DATASET.TEST_SHARE = 0.3
    data = AffectNet8(cfg)
    assert len(data.train_x) + len(data.test) == 40 and len(data.test) > 5
    assert all(datum.classname == Path(datum.impath).parent.name for datum in data.test)


def test_a_row_that_leads_out_is_refused(cfg, tmp_path):
    folder = make_affectnet_csv(tmp_path)
    noise(tmp_path / "outside.jpg", (16, 16), 0)
    source = folder / "Manually_Annotated_file_lists/training.csv"
    rows = source.read_text().splitlines()
    for name in ("../../outside.jpg", f"{tmp_path}/outside.jpg", "1/../../../outside.jpg"):
        source.write_text("\n".join([*rows, rows[1].replace(rows[1].split(",")[0], name)]))
        with pytest.raises(ValueError, match=r"training\.csv, line 24: .* leads out of .*Manually_Annotated_Images"):
            AffectNet8(cfg)


# --- parquet --------------------------------------------------------------------------------------


@pytest.fixture
def shards(tmp_path) -> Path:
    pytest.importorskip("pyarrow")
    folder = tmp_path / "fer2013"
    make_shard(folder / "data/train-00000-of-00002.parquet", range(7))
    make_shard(folder / "data/train-00001-of-00002.parquet", range(7), first=50)
    make_shard(folder / "data/test-00000-of-00001.parquet", range(7), first=100)
    return folder


def test_shards_are_decoded_once(cfg, shards, monkeypatch, caplog):
    with caplog.at_level(logging.INFO, "mpafer.datasets"):
        data = FER2013Set(cfg)
    assert [d.classname for d in data.train_x] == [*FER2013, *FER2013] and not data.val
    assert "0 = anger, 1 = disgust" in caplog.text and "3 shards of parquet" in caplog.text
    paths = [Path(d.impath) for d in [*data.train_x, *data.test]]
    assert len(set(paths)) == 21 and all(path.is_relative_to(shards / "mpafer_pixels") for path in paths)
    assert {path.suffix for path in paths} == {".png", ".jpg"}, "the bytes stay what they are"
    with Image.open(paths[4]) as image:
        assert image.size == (48, 48) and image.getpixel((0, 0)) == 4
    times = [path.stat().st_mtime_ns for path in paths]
    assert FER2013Set(cfg).train_x == data.train_x and [path.stat().st_mtime_ns for path in paths] == times
    paths[3].unlink()
    assert FER2013Set(cfg).train_x == data.train_x and paths[3].is_file(), "what is lost is made again"


def test_the_names_in_a_shard_are_its_order(cfg, tmp_path, caplog):
    pytest.importorskip("pyarrow")
    names = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"][::-1]
    for number, split in enumerate(("train", "validation", "test")):
        make_shard(tmp_path / f"rafdb/{split}.parquet", range(7), names, first=10 * number)
    with caplog.at_level(logging.INFO, "mpafer.datasets"):
        data = RAFDB(cfg)
    assert [d.classname for d in data.test][:2] == ["neutral", "surprise"] and len(data.val) == 7
    assert "as the copy says" in caplog.text


@pytest.mark.parametrize(
    ("dataset", "place", "labels"),
    [
        (RAFDB, "rafdb/{}.parquet", NAMES),
        (AffectNet7, "affectnet/default/{}/0000.parquet", AFFECTNET[:7]),
        (FERPlus, "ferplus/{}/0000.parquet", [str(i) for i in range(8)]),
        (FERFolder, "ferfolder/{}-0.parquet", ["happy", "bored"]),
    ],
)
def test_shards_of_every_set(cfg, tmp_path, dataset, place, labels):
    pytest.importorskip("pyarrow")
    make_shard(tmp_path / place.format("test"), labels)
    make_shard(tmp_path / place.format("train"), labels, first=10)
    data = dataset(cfg)
    assert len(data.train_x) == len(data.test) == len(labels) == data.num_classes


def test_shards_that_cannot_be_read(cfg, shards):
    import pyarrow
    import pyarrow.parquet

    other = shards / "data/more.parquet"
    make_shard(other, range(7))
    with pytest.raises(ValueError, match=r"more\.parquet: neither its name nor its folder tells its split"):
        FER2013Set(cfg)
    other.unlink()
    source = shards / "data/test-00000-of-00001.parquet"
    source.write_bytes(source.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"test-00000-of-00001\.parquet is no parquet file, or a damaged one"):
        FER2013Set(cfg)
    make_shard(source, range(7))
    content = bytearray(source.read_bytes())
    content[50:400] = b"x" * 350
    source.write_bytes(content)
    with pytest.raises(ValueError, match=r"test-00000-of-00001\.parquet (is no parquet|, row)"):
        FER2013Set(cfg)
    pyarrow.parquet.write_table(pyarrow.table({"image": [b"text"], "label": [1]}), source)
    with pytest.raises(ValueError, match="row 0: no image that we know"):
        FER2013Set(cfg)
    pyarrow.parquet.write_table(pyarrow.table({"picture": [b"text"], "label": [1]}), source)
    with pytest.raises(ValueError, match="has no column image; it has picture, label"):
        FER2013Set(cfg)


def test_bytes_in_a_column_of_their_own(cfg, shards):
    import pyarrow
    import pyarrow.parquet

    for path in sorted(shards.glob("data/*.parquet")):
        table = pyarrow.parquet.read_table(path).flatten()
        assert table.column_names[0] == "image.bytes"
        pyarrow.parquet.write_table(table.select(["image.bytes", "label"]), path)
    assert [d.classname for d in FER2013Set(cfg).test] == list(FER2013)


def test_pyarrow_is_asked_for(cfg, tmp_path, monkeypatch):
    write(tmp_path / "fer2013/train.parquet", "PAR1")
    real = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingPackageError, match=r"pip install 'mpafer\[parquet\]'"):
        FER2013Set(cfg)


# --- what comes first -----------------------------------------------------------------------------


def test_class_folders_come_before_a_list(cfg, tmp_path):
    folder = make_folders(tmp_path / "AffectNet", {"train": AFFECTNET, "val": AFFECTNET})
    write(folder / "labels.csv", "pth,label\ntrain/anger/image_train_6_0.png,happy")
    assert tally(AffectNet8(cfg).train_x) == dict.fromkeys(CLASSES, 1)


def test_options_that_do_nothing_are_said(cfg, tmp_path, caplog):
    make_folders(tmp_path / "AffectNet", {"train": AFFECTNET, "val": AFFECTNET})
    cfg.DATASET.CLASS_IDS = "alphabetical"
    AffectNet8(cfg)
    assert "DATASET.CLASS_IDS is not used" in caplog.text
    make_yolo(tmp_path / "ferfolder", ALPHABET)
    cfg.DATASET.CLASS_IDS, cfg.DATASET.TEST_SHARE = "", 0.2
    assert len(FERFolder(cfg).test) == 8
    assert "DATASET.TEST_SHARE is not used" in caplog.text


def test_the_competitions_list_of_pixels_is_no_list_of_images(cfg, tmp_path):
    pixels = " ".join(["7"] * 2304)
    for name in ("train.csv", "test.csv"):
        write(tmp_path / "fer2013" / name, f"emotion,pixels\n0,{pixels}\n1,{pixels}")
    with pytest.raises(ValueError, match=r"train\.csv: no column of images among 2"):
        FER2013Set(cfg)


def test_own_flat_folders_with_lists(cfg, tmp_path):
    for split in ("train", "test"):
        for i in range(3):
            noise(tmp_path / f"ferfolder/{split}/{i}.png", (16, 16), i)
        write(tmp_path / f"ferfolder/{split}_labels.csv", "file,label\n0.png,happy\n1.png,sad\n2.png,bored")
    assert FERFolder(cfg).classnames == ["happiness", "sadness", "bored"]
