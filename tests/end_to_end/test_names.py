"""One's own data under their own names: the user's spelling of classes and DATASET.TITLE, up to the tables."""

from __future__ import annotations

import csv
import json
import logging
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner
from support.miniatures import noise
from support.runs import make_trainer, make_world, prompts, results, scores

from mpafer.cli import main
from mpafer.common.errors import CheckpointError, DataError, OptionError
from mpafer.common.identity import differences
from mpafer.engine.checkpoint import checkpoint_path
from mpafer.engine.saving import checkpoint_folder
from mpafer.inference.cross import evaluate
from mpafer.inference.saved import read_run
from mpafer.results.comparison import compare
from mpafer.results.comparison_pages import write_comparison
from mpafer.results.cross import write_cross
from mpafer.results.experiments import load_experiments
from mpafer.results.schema import RunResult
from mpafer.run_config import run_config
from mpafer.runs.plan import Job, Place

SPELT = {"Fear": "fear", "Happy": "happiness", "Open_Mouth": "open mouth", "Sad": "sadness"}  # both in one order
SHOWN, NAMES = ["Fear", "Happy", "Sad", "Open_Mouth"], ["fear", "happiness", "sadness", "open mouth"]
TITLE = "Our lab's faces"


def make_own(folder: Path, spelling: dict[str, str]) -> Path:
    """Two images of each class and split, the same whatever the folders are called."""
    for seed, (split, (name, key), i) in enumerate(product(("train", "test"), spelling.items(), range(2))):
        noise(folder / split / name / f"{key}{i}.png", (40, 40), seed)
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Equal data in the user's spelling (lab) and the table's (plain), a run of each, and a titled one."""
    folder = make_world(tmp_path_factory.mktemp("names"))
    make_own(folder / "data/lab", SPELT)
    make_own(folder / "data/plain", {name: name for name in SPELT.values()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPAFER_CACHE", str(folder / "cache"))
        for name, data, more in (("lab", "lab", {}), ("plain", "plain", {}), ("titled", "lab", {"TITLE": TITLE})):
            train(folder, f"{name}/CoOp/tiny_all/seed1", FOLDER=data, **more)
        yield folder


def train(world: Path, name: str, **dataset: Any) -> Path:
    options = {f"DATASET.{key}": value for key, value in dataset.items()}
    options |= {"OPTIM.MAX_EPOCH": 1, "TEST.PER_CLASS_RESULT": True}
    make_trainer(world, world / "out" / name, "CoOp", "ferfolder", **options).train()
    return world / "out" / name


def run_of(world: Path, name: str) -> Path:
    return world / "out" / name / "CoOp/tiny_all/seed1"


# --- spelling -------------------------------------------------------------------------------------


def test_results_show_the_users_spelling(world: Path) -> None:
    """`happiness` for a folder `Happy` before."""
    record = results(run_of(world, "lab"))
    assert record["display_names"] == SHOWN == list(record["metrics"]["per_class_recall"])
    assert record["classnames"] == NAMES, "for prompts, and to match by"
    plain = results(run_of(world, "plain"))
    assert plain["display_names"] == plain["classnames"] == NAMES == list(plain["metrics"]["per_class_recall"])


def test_no_number_changes(world: Path) -> None:
    lab, plain = (results(run_of(world, name)) for name in ("lab", "plain"))
    assert (scores(run_of(world, "lab")) == scores(run_of(world, "plain"))).all()
    learned = [prompts(run_of(world, name)) for name in ("lab", "plain", "titled")]
    assert all(torch.equal(value, other[key]) for other in learned[1:] for key, value in learned[0].items())
    assert list(lab["metrics"]["per_class_recall"].values()) == list(plain["metrics"]["per_class_recall"].values())
    assert {key: lab["made_of"][key] for key in ("train_contents", "test_contents", "backbone")} == {
        key: plain["made_of"][key] for key in ("train_contents", "test_contents", "backbone")
    }, "a spelling makes no other run"


def test_the_log(world: Path, tmp_path: Path, caplog: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.INFO, "mpafer"):
        options = {"DATASET.FOLDER": "lab", "OPTIM.MAX_EPOCH": 1, "TEST.PER_CLASS_RESULT": True}
        make_trainer(
            world, tmp_path, "CoOp", "ferfolder", **options, **{"TRAIN.CLASS_WEIGHTS": "balanced"}
        ).train()  # fmt: skip
    printed = capsys.readouterr().out
    assert "in prompts: Fear = fear, Happy = happiness, Sad = sadness, Open_Mouth = open mouth" in caplog.text
    assert "* class: 1 (Happy)\ttotal: 2\tcorrect: " in printed and "* class: 3 (Open_Mouth)\ttotal: 2" in printed
    assert "Class weights: Fear 1.000, Happy 1.000" in printed


def test_checkpoint_and_prediction(world: Path, tmp_path: Path) -> None:
    run = run_of(world, "lab")
    saved = read_run(run)
    assert saved.display_names == SHOWN and saved.classnames == NAMES
    image, target = str(world / "data/lab/test/Happy/happiness0.png"), tmp_path / "p.csv"
    done = CliRunner().invoke(main, ["predict", str(run), image, "--device", "cpu", "--csv", str(target)])
    assert done.exit_code == 0, done.output
    words = done.output.split()
    assert words[: len(SHOWN) + 3] == ["image", "face", "label", *SHOWN]
    with open(target, newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["label"] in SHOWN and row.keys() >= set(SHOWN) and not row.keys() & (set(NAMES) - set(SHOWN))


def test_older_runs_without_display_names_are_read(world: Path, tmp_path: Path) -> None:
    run = tmp_path / "older/seed1"
    trained = train(world, "older/CoOp/tiny_all/seed2", FOLDER="lab")
    trained.parent.rename(run.parent)
    run = run.parent / "seed2"
    path = checkpoint_path(checkpoint_folder(run), 1)
    state = torch.load(path, weights_only=True)
    for names, message in ((["a"], "display_names are no 4 texts"), ([1, 2, 3, 4], "display_names are no 4")):
        torch.save(state | {"extra": state["extra"] | {"display_names": names}}, path)
        with pytest.raises(CheckpointError, match=message):
            read_run(run)
    record = results(run)
    del record["display_names"]
    recall = record["metrics"]["per_class_recall"]
    record["metrics"]["per_class_recall"] = dict(zip(NAMES, recall.values(), strict=True))
    (run / "results.json").write_text(json.dumps(record))
    older = RunResult.read(run / "results.json")
    assert older.display_names == NAMES == older.classnames
    record["display_names"] = ["a"]
    (tmp_path / "results.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match="display_names and classnames differ in number"):
        RunResult.read(tmp_path / "results.json")


def test_older_and_newer_runs_stand_in_one_table(world: Path, tmp_path: Path) -> None:
    for seed, shown in ((1, True), (2, False)):
        record = results(run_of(world, "lab")) | {"seed": seed}
        if not shown:
            del record["display_names"]
            recall = record["metrics"]["per_class_recall"]
            record["metrics"]["per_class_recall"] = dict(zip(NAMES, recall.values(), strict=True))
        folder = tmp_path / f"CoOp/tiny_all/seed{seed}"
        folder.mkdir(parents=True)
        (folder / "results.json").write_text(json.dumps(record))
    comparison = compare(load_experiments(tmp_path), "CoOp")
    (row,) = comparison.blocks[0].rows
    assert comparison.classnames == SHOWN == list(row["recall"]) and row["n"] == 2
    own = results(run_of(world, "lab"))["metrics"]["per_class_recall"]
    assert row["recall"] == own and set(row["recall_sd"].values()) == {0.0}, "both seeds, whatever they call it"


def test_tables_and_figures(world: Path, tmp_path: Path) -> None:
    write_comparison(world / "out/lab", tmp_path, "CoOp")
    text = (tmp_path / "comparison.md").read_text()
    assert re.search(r"\| +Happy ", text) and "Open_Mouth" in text and "happiness" not in text
    assert json.loads((tmp_path / "comparison.json").read_text())["classnames"] == SHOWN
    assert "Open_Mouth" in (tmp_path / "figures/confusion_CoOp_all.svg").read_text()


def test_the_doctor(world: Path, tmp_path: Path) -> None:
    target = tmp_path / "doctor.json"
    arguments = ["check", "ferfolder", "--data", str(world / "data"), "--json", str(target), "DATASET.FOLDER", "lab"]
    done = CliRunner().invoke(main, [*arguments, "DATASET.TITLE", TITLE])
    report = json.loads(target.read_text())
    assert report["classes"] == SHOWN == list(report["counts"]["train"]) and report["dataset"] == TITLE, done.output


def test_other_data_sets_meet_by_the_prompts_names(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "rafdb/CoOp/tiny_all/seed1"
    evaluate(run_of(world, "titled"), "rafdb", str(world / "data"), out)
    record = results(out)
    assert record["num_images"] == 3 * 4, "of happiness, sadness and fear"
    assert record["display_names"] == SHOWN and list(record["metrics"]["per_class_recall"]) == SHOWN
    assert record["cross"]["absent"] == ["Open_Mouth"] and record["cross"]["source"]["title"] == TITLE
    assert record["cross"]["dropped"].keys() == {"surprise", "disgust", "anger", "neutral"}
    other = tmp_path / "lab/CoOp/tiny_all/seed1"
    make_trainer(world, tmp_path / "raf", "CoOp", **{"OPTIM.MAX_EPOCH": 1}).train()
    pairs = ["DATASET.FOLDER", "lab", "DATASET.TITLE", TITLE]
    (world / "data/described.yaml").write_text(yaml.safe_dump({"open mouth": "A round mouth."}))
    evaluate(tmp_path / "raf", "ferfolder", str(world / "data"), other, options=pairs)
    record = results(other)
    assert record["cross"]["dropped"] == {"Open_Mouth": 2}, "in the data set's spelling"
    assert record["display_names"][3] == "happiness", "in the run's"


# --- title ----------------------------------------------------------------------------------------


def test_a_title_in_tables_and_captions(world: Path, tmp_path: Path) -> None:
    """`FERFolder` before, whichever data they were."""
    write_comparison(world / "out/titled", tmp_path, "CoOp")
    assert (tmp_path / "comparison.md").read_text().startswith(f"# Methods on {TITLE}")
    assert f"Methods on {TITLE}" in (tmp_path / "comparison.tex").read_text()
    done = CliRunner().invoke(main, ["report", str(world / "out/titled"), str(world / "out/lab")])
    assert "data set" in done.output.splitlines()[0] and TITLE in done.output and "FERFolder" in done.output
    done = CliRunner().invoke(main, ["report", str(world / "out/lab")])
    assert "data set" not in done.output, "as ever where nothing has a title"


def test_a_title_in_cross_tables(world: Path, tmp_path: Path) -> None:
    evaluate(run_of(world, "titled"), "rafdb", str(world / "data"), tmp_path / "t/rafdb/CoOp/tiny_all/seed1")
    write_cross([tmp_path / "t"], tmp_path / "tables")
    text = (tmp_path / "tables/cross_dataset.md").read_text()
    assert text.startswith(f"# Trained on {TITLE}, tested on other data sets") and f"| {TITLE}" in text
    evaluate(run_of(world, "lab"), "rafdb", str(world / "data"), tmp_path / "t/rafdb/Other/tiny_all/seed1")
    with pytest.raises(DataError, match=f"one data set trained on, these are of FERFolder, {TITLE}"):
        write_cross([tmp_path / "t"], tmp_path / "tables")


def group(*options: tuple[str, str]) -> str:
    return str(Job("CoOp", "ferfolder", "tiny", options=options, place=Place(out="out")).group)


def test_a_title_in_the_names_of_folders() -> None:
    folder = ("DATASET.FOLDER", "mine")
    assert group(folder) == "out/ferfolder/CoOp/tiny_all_DATASET.FOLDER=mine", "without a title as ever"
    first, second = group(folder, ("DATASET.TITLE", "A")), group(folder, ("DATASET.TITLE", "B"))
    assert first == "out/ferfolder_A/CoOp/tiny_all_DATASET.FOLDER=mine" and second == first.replace("_A", "_B")
    lab, labs = group(("DATASET.TITLE", TITLE)), group(("DATASET.TITLE", "Our lab-s faces"))
    assert lab.startswith("out/ferfolder_Our-lab-s-faces_") and lab != labs, "told apart by a checksum"
    for odd in ("..", "/etc", "rafdb", "a/../../b", "x" * 400):
        assert Path(group(("DATASET.TITLE", odd))).parts[:1] == ("out",)
        assert (
            ".." not in Path(group(("DATASET.TITLE", odd))).parts
            and len(Path(group(("DATASET.TITLE", odd))).parts) == 4
        )
    assert group(("DATASET.TITLE", " ")) == group()


def test_a_title_makes_no_other_run(world: Path) -> None:
    lab, titled = (results(run_of(world, name))["config"] for name in ("lab", "titled"))
    assert lab["DATASET"]["TITLE"] == "" and titled["DATASET"]["TITLE"] == TITLE and not differences(lab, titled)
    done = CliRunner().invoke(
        main, ["compare", "ferfolder", "-1", "DATASET.TITLE", TITLE, "--out", "o", "--cfg", "tiny", "--plan"]
    )
    assert "o/ferfolder_Our-lab-s-faces_" in done.output and done.exit_code == 0, done.output


def test_only_one_s_own_data_have_a_title() -> None:
    with pytest.raises(OptionError, match=r"DATASET\.TITLE is an option of FERFolder"):
        run_config("CoOp", "rafdb", pairs=["DATASET.TITLE", "x"])
