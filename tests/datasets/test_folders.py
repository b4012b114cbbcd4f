"""RAF-DB's compound part, anybody's class folders, and what they share."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
from support.miniatures import write
from support.miniatures_fer import CLASSES, make_compound, make_folders, tally

from mpafer.datasets.fer2013 import FER2013
from mpafer.datasets.ferfolder import FERFolder
from mpafer.datasets.items import MissingDataError
from mpafer.datasets.rafdb_compound import RAFDBCompound
from mpafer.prompting.descriptions import load_descriptions
from mpafer.prompting.expressions import COMPOUND

NAMES = ["happy", "Angry", "SAD", "fearful", "Disgusted", "suprise", "normal"]

# --- RAF-DB, compound -----------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["RAF-DB/compound", "rafdb/compound", "compound"])
@pytest.mark.parametrize("name", ["{split}_{i}", "{split}_{i:05d}"])
def test_compound(cfg, tmp_path, caplog, base, name):
    make_compound(tmp_path, base, name)
    with caplog.at_level(logging.WARNING, "mpafer.datasets"):
        data = RAFDBCompound(cfg)
    assert data.classnames == list(COMPOUND) and data.classnames[5] == "sadly disgusted"
    assert tally(data.train_x) == dict.fromkeys(COMPOUND, 2) and tally(data.test) == dict.fromkeys(COMPOUND, 1)
    assert "train: 22 images (published 3162)" in caplog.text and "happily" not in caplog.text
    cfg.DATASET.SUBSAMPLE_CLASSES = "sadly angry, Happily Surprised"
    assert RAFDBCompound(cfg).classnames == ["sadly angry", "happily surprised"]


def test_compound_in_another_order(cfg, tmp_path, caplog):
    """CLASS_IDS was no option of the compound part."""
    make_compound(tmp_path)
    with caplog.at_level(logging.INFO, "mpafer.datasets"):
        before = {d.impath: d.classname for d in RAFDBCompound(cfg).train_x}
    assert "numbers are read as 1 = happily surprised, 2 = happily disgusted," in caplog.text
    names = list(COMPOUND)[::-1]
    cfg.DATASET.CLASS_IDS = ",".join(f"{number}={name.replace(' ', '_')}" for number, name in enumerate(names, start=1))
    after = {d.impath: d.classname for d in RAFDBCompound(cfg).train_x}
    assert after == {path: names[list(COMPOUND).index(name)] for path, name in before.items()}
    for wrong, message in (
        ("affectnet", "classes here are compound: take rafdb_compound"),
        ("1=happy", "unknown comp"),
    ):
        cfg.DATASET.CLASS_IDS = wrong
        with pytest.raises(ValueError, match=rf"DATASET\.CLASS_IDS.*{message}"):
            RAFDBCompound(cfg)


def test_compound_of_the_wrong_size(cfg, tmp_path):
    make_compound(tmp_path, line="train_99.jpg 12")
    with pytest.raises(ValueError, match=r"line 34.*label from 1 to 11"):
        RAFDBCompound(cfg)
    shutil.rmtree(tmp_path / "RAF-DB")
    with pytest.raises(MissingDataError, match=r"RAFDBCompound was not found(.|\n)*whdeng"):
        RAFDBCompound(cfg)


def test_compound_descriptions_are_made_of_the_basic_ones(tmp_path):
    table = load_descriptions(classnames=list(COMPOUND))
    basic = load_descriptions()
    assert table["sadly angry"] == f"{basic['sadness']} {basic['anger']}" and len(table) == 11
    assert "sadly angry" not in basic
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"sad": "Tears.", "angry": "A frown.", "sadly angry": "Both."}))
    assert load_descriptions(own, ["sadly angry", "anger"]) == {"sadly angry": "Both.", "anger": "A frown."}
    texts = load_descriptions(own, ["happily surprised", "sadly disgusted"])
    assert texts["happily surprised"].startswith(basic["happiness"]), "what is missing is the shipped table's"
    assert texts["sadly disgusted"] == f"Tears. {basic['disgust']}"
    with pytest.raises(ValueError, match="no description of bored"):
        load_descriptions(own, ["bored"])


def test_compound_prompts_fit(tmp_path):
    from mpafer.clip.tokens import tokenize
    from mpafer.prompting.teachers import hard_prompts

    prompts = hard_prompts(list(COMPOUND), load_descriptions(classnames=list(COMPOUND)), 3)
    sentences = [text for (text,) in prompts]
    assert tokenize(sentences).shape == (11, 77)


# --- FERFolder ------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["ferfolder", "mine/faces", ""])
@pytest.mark.parametrize(
    ("train", "val", "test"), [("train", "val", "test"), ("Train", "", "Test"), ("training", "validation", "TEST")]
)
def test_splits_and_names_in_any_spelling(cfg, tmp_path, folder, train, val, test):
    base = make_folders(tmp_path / folder, {train: NAMES, test: NAMES[::-1]} | ({val: NAMES} if val else {}))
    write(base / train / ".DS_Store", "")
    write(base / train / ".cache/x.jpg", "")
    write(base / train / "__MACOSX/x.jpg", "")
    write(base / train / "happy/._image.jpg", "")
    write(base / train / "happy/notes.txt", "")
    write(base / "readme.txt", "")
    cfg.DATASET.FOLDER = folder
    data = FERFolder(cfg)
    assert data.classnames == list(CLASSES[:7]) and not data.test_only
    assert tally(data.train_x) == tally(data.test) == dict.fromkeys(CLASSES[:7], 1)
    assert bool(data.val) == bool(val)
    assert {Path(d.impath).parent.name for d in data.test if d.classname == "surprise"} == {"suprise"}


def test_a_lone_validation_folder_is_the_test_set(cfg, tmp_path):
    make_folders(tmp_path / "ferfolder", {"train": NAMES, "valid": NAMES})
    data = FERFolder(cfg)
    assert not data.val and len(data.test) == 7


def test_fewer_classes_and_contempt(cfg, tmp_path, caplog):
    make_folders(tmp_path / "ferfolder", {"train": ["contempt", "happy", "fear"], "test": ["happy", "sad"]})
    with caplog.at_level(logging.WARNING, "mpafer.datasets"):
        data = FERFolder(cfg)
    assert data.classnames == ["fear", "happiness", "contempt"] and tally(data.test) == {"happiness": 1}
    assert "test has ['sad'], which are not among the training classes" in caplog.text


@pytest.mark.parametrize("splits", [{"test": ["happy", "angry"]}, {"": ["happy", "angry"]}])
def test_a_test_set_has_the_head_of_seven(cfg, tmp_path, splits):
    make_folders(tmp_path / "ferfolder", splits)
    data = FERFolder(cfg)
    assert data.test_only and data.classnames == list(CLASSES[:7]) and data.num_classes == 7
    assert tally(data.test) == {"happiness": 1, "anger": 1}
    make_folders(tmp_path / "ferfolder", {next(iter(splits)): ["contempt"]})
    assert FERFolder(cfg).classnames == list(CLASSES)


def test_two_spellings_of_a_class_are_one(cfg, tmp_path):
    make_folders(tmp_path / "ferfolder", {"train": ["happy", "Happiness", "sad"], "test": ["happy", "sad"]})
    assert tally(FERFolder(cfg).train_x) == {"happiness": 2, "sadness": 1}


def test_classes_of_ones_own(cfg, tmp_path):
    make_folders(tmp_path / "ferfolder", {"train": ["happy", "Bored"], "test": ["happy", "Bored"]})
    assert FERFolder(cfg).classnames == ["happiness", "bored"], "texts are asked for by the methods that use them"
    with pytest.raises(ValueError, match=r"no description of bored"):
        load_descriptions(classnames=FERFolder(cfg).classnames)
    own = tmp_path / "own.yaml"
    own.write_text("happy: A grin.\nbored: Half-closed eyes.\n")
    cfg.DATASET.DESCRIPTIONS = str(own)
    assert FERFolder(cfg).classnames == ["happiness", "bored"]
    cfg.DATASET.SUBSAMPLE_CLASSES = "bored"
    assert FERFolder(cfg).classnames == ["bored"]


def test_a_test_sets_own_classes_must_be_described(cfg, tmp_path):
    make_folders(tmp_path / "ferfolder", {"test": ["happy", "Bored"]})
    with pytest.raises(ValueError, match=r"test/Bored is no class folder: unknown expression 'Bored'.*DESCRIPTIONS"):
        FERFolder(cfg)
    own = tmp_path / "own.yaml"
    own.write_text("bored: Half-closed eyes.\n")
    cfg.DATASET.DESCRIPTIONS = str(own)
    assert FERFolder(cfg).classnames == [*CLASSES[:7], "bored"]


def test_a_slip_of_the_pen_is_no_class(cfg, tmp_path):
    make_folders(tmp_path / "ferfolder", {"train": ["hapiness", "sad"], "test": ["sad"]})
    with pytest.raises(ValueError, match=r"train/hapiness is no class folder: .*did you mean happiness\?"):
        FERFolder(cfg)


def test_blanks_and_dashes_are_alike(cfg, tmp_path):
    names = ["Pleasant_Surprise", "pleasant-surprise", "pleasant  surprise", "happy"]
    make_folders(tmp_path / "ferfolder", {"train": names, "test": ["pleasant surprise", "happy"]})
    own = tmp_path / "own.yaml"
    own.write_text("Pleasant Surprise: A smile with raised brows.\n")
    cfg.DATASET.DESCRIPTIONS = str(own)
    data = FERFolder(cfg)
    assert tally(data.train_x) == {"pleasant surprise": 3, "happiness": 1}
    cfg.DATASET.SUBSAMPLE_CLASSES = "Pleasant_Surprise"
    assert FERFolder(cfg).classnames == ["pleasant surprise"]
    texts = load_descriptions(own, data.classnames)
    assert texts["pleasant surprise"].startswith("A smile"), "happiness has the shipped text"
    assert texts["happiness"] == load_descriptions()["happiness"]


def test_numbers_are_not_understood_by_themselves(cfg, tmp_path):
    make_folders(tmp_path / "ferfolder", {"train": ["0", "1"], "test": ["0", "1"]})
    with pytest.raises(ValueError, match=r"FERFolder: the classes are numbers \(0, 1\).*DATASET\.CLASS_IDS"):
        FERFolder(cfg)


def test_parts_that_are_missing(cfg, tmp_path, caplog):
    with pytest.raises(MissingDataError, match=r"FERFolder was not found(.|\n)*looked at ferfolder(.|\n)*\.FOLDER"):
        FERFolder(cfg)
    folder = make_folders(tmp_path / "ferfolder", {"train": NAMES})
    with pytest.raises(MissingDataError, match="has train, but no folder test of class folders"):
        FERFolder(cfg)
    make_folders(folder, {"test": NAMES})
    next((folder / "train/happy").iterdir()).unlink()
    with (
        caplog.at_level(logging.WARNING, "mpafer.datasets"),
        pytest.raises(MissingDataError, match="no training image of happy"),
    ):
        FERFolder(cfg)
    assert "no image in happy of" in caplog.text
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(MissingDataError, match="FERFolder was not found"):
        FERFolder(cfg)


def test_few_shots_and_a_validation_cut(cfg, tmp_path):
    make_folders(tmp_path / "ferfolder", {"train": NAMES, "test": NAMES}, each=6)
    cfg.DATASET.NUM_SHOTS = 2
    assert tally(FERFolder(cfg).train_x) == dict.fromkeys(CLASSES[:7], 2)
    cfg.DATASET.NUM_SHOTS, cfg.TEST.FINAL_MODEL, cfg.DATASET.VAL_FRACTION = -1, "best_val", 0.5
    assert tally(FERFolder(cfg).val) == dict.fromkeys(CLASSES[:7], 3)


def test_a_foreign_folder_called_test_is_in_nobodys_way(cfg, tmp_path):
    (tmp_path / "test/anything").mkdir(parents=True)
    with pytest.raises(MissingDataError, match="FER2013 was not found"):
        FER2013(cfg)


def test_validation_images_that_are_reported_on_are_all_of_them(cfg, tmp_path):
    """CoOp's draw of at most four a class is for choosing an epoch, not for a figure."""
    make_folders(
        tmp_path / "own", {"train": ["happy", "sad"], "val": ["happy", "sad"], "test": ["happy", "sad"]}, each=9
    )
    cfg.DATASET.FOLDER, cfg.DATASET.NUM_SHOTS = "own", 8
    assert len(FERFolder(cfg).val) == 8
    cfg.TEST.SPLIT = "val"
    data = FERFolder(cfg)
    assert len(data.val) == 18 and len(data.train_x) == 16
