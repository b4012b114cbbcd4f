"""FER2013: pixels in CSV files, and the mirror in class folders."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.miniatures import noise
from support.miniatures_fer import (
    CLASSES,
    fer2013_rows,
    make_fer2013,
    make_folders,
    pixels,
    tally,
)
from support.miniatures_fer import FER2013 as FER2013_NAMES

from mpafer.datasets import pixels as pixel_files
from mpafer.datasets import remembered as cache
from mpafer.datasets.fer2013 import FER2013
from mpafer.datasets.items import MissingDataError
from mpafer.datasets.labels import FER2013_IDS

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
    with pytest.raises(ValueError, match=r"train/bored is no class folder: unknown expression 'bored'; known: "):
        FER2013(cfg)


def test_published_sizes(cfg):
    assert [sum(FER2013.published[split]) for split in ("train", "val", "test")] == [28709, 3589, 3589]
    assert FER2013.published["train"][CLASSES.index("disgust")] == 436
    with pytest.raises(MissingDataError, match=r"FER2013 was not found(.|\n)*kaggle"):
        FER2013(cfg)


# --- with the engine ------------------------------------------------------------------------------


def test_pixels_go_through_the_engine(tmp_path):
    """Results name the images relative to the data root, and prediction reads them."""
    from support.runs import make_trainer

    from mpafer.inputs.reading import read_image

    make_fer2013(tmp_path / "data", rows=fer2013_rows(each=3))
    trainer = make_trainer(tmp_path, tmp_path / "out", "MPAFER", dataset="fer2013", **{"OPTIM.MAX_EPOCH": 1})
    trainer.train()
    results = json.loads((tmp_path / "out/results.json").read_text())
    images = [row["image"] for row in results["predictions"]]
    assert len(images) == 21 and all(image.startswith("fer2013/mpafer_pixels/") for image in images)
    assert read_image(str(tmp_path / "data" / images[0])).size == (48, 48)
    assert Counter(FER2013_IDS.values()) == Counter(CLASSES[:7])
    assert list((tmp_path / "cache/prototypes").iterdir())
