"""Lists of images and labels: their forms, what is said of them, and what is refused."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from support.miniatures import noise, write
from support.miniatures_lists import PICTURES, make_pictures

from mpafer.datasets.columns import class_number
from mpafer.datasets.ferfolder import FERFolder
from mpafer.datasets.items import MissingDataError, Problems
from mpafer.datasets.tables import read_table

FORMS = {
    "commas": ("path,label,split", "{file},{label},{split}"),
    "other order": ("Split;Emotion;File Name", "{split};{label};{file}"),
    "tabs": ("image\tclass\tsubset", "{file}\t{label}\t{split}"),
    "no header": ("", "{file},{label},{split}"),
    "no header, blanks": ("", "{file} {label} {split}"),
    "no header, label first": ("", "{split}\t{label}\t{file}"),
    "extra columns": (",pth,label,relFCs,Usage", "{i},{file},{label},0.7,{usage}"),
    "number and name": ("img_path,label,emotion,set", '"{file}",{i},{label},{split}'),
    "whole paths": ("path,label,split", "{folder}/{file},{label},{split}"),
    "of Windows": ("path,label,split", "{windows},{label},{split}"),
}
USAGES = {"train": "Training", "test": "PrivateTest"}


def listed(folder: Path, form: str, newline: str = "\n") -> None:
    header, line = FORMS[form]
    lines = []
    for i, (file, label, split) in enumerate(PICTURES):
        parts = {"file": file, "label": label, "split": split, "i": i, "usage": USAGES[split], "folder": folder}
        lines.append(line.format(**parts, windows=file.replace("/", "\\")))
    write(folder / "labels.csv", newline.join([header, *lines] if header else lines))


@pytest.fixture
def folder(cfg, tmp_path) -> Path:
    cfg.DATASET.LIST = "labels.csv"
    return make_pictures(tmp_path / "ferfolder")


# --- forms ----------------------------------------------------------------------------------------


def test_a_cell_with_ends_of_lines_in_it(cfg, folder):
    rows = [f'{file},{label},{split},"blurred\nand dark"' for file, label, split in PICTURES]
    write(folder / "labels.csv", "\n".join(["path,label,split,note", *rows]))
    assert len(FERFolder(cfg).train_x) == sum(split == "train" for _, _, split in PICTURES)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_reads_alike(cfg, folder, caplog, form):
    listed(folder, form)
    with caplog.at_level(logging.INFO, "mpafer.datasets"):
        data = FERFolder(cfg)
    assert data.classnames == ["happiness", "sadness", "anger"]
    assert [d.impath for d in data.train_x] == [f"{folder}/{file}" for file, _, split in PICTURES if split == "train"]
    assert [d.classname for d in data.test] == ["happiness", "sadness", "anger"]
    said = next(line for line in caplog.messages if "labels.csv" in line)
    assert "9 rows" in said and "label = column" in said and ("no header" in said) == ("no header" in form)


@pytest.mark.parametrize("newline", ["\r\n", "\r", "\n\n"])
def test_line_ends(cfg, folder, newline):
    listed(folder, "commas", newline)
    assert len(FERFolder(cfg).train_x) == 6


def test_a_file_a_split(cfg, folder):
    for split in ("train", "test"):
        rows = [f"{file},{label}" for file, label, part in PICTURES if part == split]
        write(folder / f"my_{split}.csv", "\n".join(rows))
    for option in ("my_train.csv,my_test.csv", "train=my_train.csv, test=my_test.csv"):
        cfg.DATASET.LIST = option
        assert len(FERFolder(cfg).train_x) == 6 and len(FERFolder(cfg).test) == 3
    cfg.DATASET.LIST = "val=my_train.csv,my_test.csv"
    data = FERFolder(cfg)
    assert data.test_only and data.num_classes == 7 and len(data.val) == 6
    write(folder / "a.csv", "ann/shot 0.jpg,happy")
    cfg.DATASET.LIST = "my_train.csv,a.csv"
    with pytest.raises(ValueError, match=r"DATASET\.LIST: a\.csv tells no split; write train=a\.csv"):
        FERFolder(cfg)
    cfg.DATASET.LIST = "nowhere.csv"
    with pytest.raises(MissingDataError, match=r"no list .*nowhere\.csv \(DATASET\.LIST\)"):
        FERFolder(cfg)


def test_numbers_by_class_ids(cfg, folder, caplog):
    rows = [f"{file},{('angry', 'happy', 'Sad').index(label)}.0,{split}" for file, label, split in PICTURES]
    write(folder / "labels.csv", "\n".join(["path,label,split", *rows]))
    with pytest.raises(ValueError, match=r"FERFolder: the classes are numbers \(0, 1, 2\).*DATASET\.CLASS_IDS"):
        FERFolder(cfg)
    cfg.DATASET.CLASS_IDS = "0=angry,1=happy,2=sad"
    with caplog.at_level(logging.INFO, "mpafer.datasets"):
        assert [d.classname for d in FERFolder(cfg).test] == ["happiness", "sadness", "anger"]
    assert "0 = anger, 1 = happiness, 2 = sadness" in caplog.text


def test_the_split_may_be_the_first_folder(cfg, folder, caplog):
    rows = []
    for number, (file, label, split) in enumerate(PICTURES):
        noise(folder / split / file, (16, 16), number)
        rows.append(f"{split}/{file},{label}")
    write(folder / "labels.csv", "\n".join(rows))
    with caplog.at_level(logging.INFO, "mpafer.datasets"):
        assert len(FERFolder(cfg).test) == 3
    assert "the split is the first folder of each path" in caplog.text


def test_a_list_without_a_split(cfg, folder):
    rows = [f"{file},{label}" for file, label, _ in PICTURES]
    write(folder / "labels.csv", "\n".join(rows))
    with pytest.raises(ValueError, match=r"which images are tested: .* a column split.*TEST_SHARE 0\.2"):
        FERFolder(cfg)
    cfg.DATASET.TEST_SHARE = 0.4
    data = FERFolder(cfg)
    first = {d.impath for d in data.test}
    assert 0 < len(first) < 9 and len(data.train_x) == 9 - len(first)
    write(folder / "labels.csv", "\n".join(rows[::-1]))
    assert {d.impath for d in FERFolder(cfg).test} == first, "a picture's part is its own"
    cfg.DATASET.TEST_SHARE, cfg.DATASET.LIST = 0.0, "test=labels.csv"
    assert FERFolder(cfg).test_only


def test_classes_of_ones_own(cfg, folder):
    write(folder / "labels.csv", "\n".join(f"{f},{n.replace('Sad', 'Very_bored')},{s}" for f, n, s in PICTURES))
    assert FERFolder(cfg).classnames == ["happiness", "anger", "very bored"]


# --- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("../outside.jpg,happy,train", r"line 11: '\.\./outside\.jpg' leads out of the data set"),
        ("/etc/outside.jpg,happy,train", "line 11: .* leads out of the data set"),
        ("ann/../../outside.jpg,happy,train", "line 11: .* leads out of the data set"),
        ("ann/shot 0.jpg,hapy,train", r"line 11: unknown expression 'hapy': did you mean happy\?"),
        ("ann/shot 0.jpg,3.7,train", "line 11: '3.7' is neither a class nor the number of one"),
        ("ann/shot 0.jpg,happy,later", "line 11: 'later' is no split"),
        (
            "ann/shot 0.jpg,sad,train",
            r"line 11: .*shot 0\.jpg is sadness train there, and happiness train in .*line 2",
        ),
        ("ann/shot 0.jpg,happy,test", "line 11: .* is happiness test there, and happiness train in .*line 2"),
        ("ann/shot 0.jpg,happy", "line 11: 2 columns"),
        (",happy,train", "line 11: no image is named in column 1"),
        ("ann/shot 0.jpg,,train", r"line 11: .*shot 0\.jpg has no label; write it there, or delete the line"),
        ("ann/shot 0.jpg", "line 11: 1 columns, but the split in column 3 is needed"),
        ("ann/nowhere.jpg,happy,train", "1 of the 7 images of .* are missing"),
    ],
)
def test_bad_line_is_named(cfg, folder, line, message):
    listed(folder, "commas")
    noise(folder.parent / "outside.jpg", (16, 16), 0)
    write(folder / "labels.csv", (folder / "labels.csv").read_text() + f"\n{line}")
    with pytest.raises((ValueError, MissingDataError), match=message):
        FERFolder(cfg)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        (",,\n,,", "is empty"),
        ("path,label,split\n", "a header and no row"),
        ("a.jpg,1,2\nb.jpg,3,4", "which of its 3 columns is the label cannot be told; give it a header"),
        ("a.jpg\nb.jpg", "no column of labels"),
        ("path,label\n\x00", "is no text: it has NUL bytes"),
    ],
)
def test_what_is_no_list(cfg, folder, content, message):
    write(folder / "labels.csv", content)
    with pytest.raises(ValueError, match=message) as error:
        FERFolder(cfg)
    assert "labels.csv" in str(error.value)


def test_a_list_in_another_code(cfg, folder):
    (folder / "labels.csv").write_bytes("path,label\ncafé.jpg,happy".encode("latin-1"))
    with pytest.raises(ValueError, match=r"labels\.csv is no text in UTF-8"):
        FERFolder(cfg)


def test_a_cell_of_any_length(cfg, folder):
    listed(folder, "commas")
    write(folder / "labels.csv", (folder / "labels.csv").read_text() + f"\n{'x' * 200_000},happy,train")
    with pytest.raises(ValueError, match=r"labels\.csv cannot be read as a table"):
        FERFolder(cfg)


def test_a_line_twice_is_taken_once(cfg, folder, caplog):
    listed(folder, "commas")
    write(folder / "labels.csv", (folder / "labels.csv").read_text() + "\nann/shot 0.jpg,Happiness,train")
    assert len(FERFolder(cfg).train_x) == 6
    assert "1 lines repeat an image and its label" in caplog.text


def test_numbers_of_classes():
    assert [class_number(text) for text in ("3", "3.0", " 3 ", "3.", "3.7", "-1", "", "nan", "x", "1e3")] == [
        3, 3, 3, 3, None, None, None, None, None, None,
    ]  # fmt: skip


def test_the_label_is_the_column_of_names(tmp_path):
    write(tmp_path / "x.csv", "image,label,emotion\na.jpg,5,happy\nb.jpg,1,sad")
    assert [row.label for row in read_table(tmp_path / "x.csv").rows] == ["happy", "sad"]


def test_no_label_that_can_be_used(cfg, folder):
    write(folder / "labels.csv", "path,label,split\n" + "\n".join(f"{file},99,{split}" for file, _, split in PICTURES))
    cfg.DATASET.CLASS_IDS = "rafdb"
    with pytest.raises(ValueError, match=r"line 2: '99' is neither a class nor the number of one \(1 to 7\)"):
        FERFolder(cfg)
    with pytest.raises(MissingDataError, match=r"no image in .* has a label that can be used"):
        FERFolder(cfg, Problems(collecting=True))
    write(folder / "labels.csv", "path,label,split\nann/shot 0.jpg,happy,train\neve/shot 0.jpg,99,test")
    with pytest.raises(ValueError, match="which images are tested"):
        FERFolder(cfg, Problems(collecting=True))


def test_a_list_of_test_images_alone(cfg, folder):
    for number, (file, _, _) in enumerate(PICTURES):
        noise(folder / "test" / file, (16, 16), number)
    write(folder / "labels.csv", "\n".join(f"test/{file},{label}" for file, label, _ in PICTURES))
    assert FERFolder(cfg).test_only and len(FERFolder(cfg).test) == 9
