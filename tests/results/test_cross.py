"""A run on another data set: classes by name, dropped and masked ones, results, tables, the script."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.miniatures import make_sketchfer
from support.results import write_run
from support.runs import make_trainer, make_world, results, scores

from mpafer.cross import main
from mpafer.datasets.labels import RAFDB_IDS
from mpafer.evaluation.classes import match_classes
from mpafer.inference.cross import evaluate
from mpafer.inference.predictor import Predictor
from mpafer.inputs.datum import Datum
from mpafer.prompting.expressions import CLASSES
from mpafer.results.comparison import compare
from mpafer.results.cross import cross_table, write_cross
from mpafer.results.experiments import load_experiments

SEVEN = list(CLASSES[:7])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A miniature RAF-DB, drawn faces, and finished runs in out/, as the scripts name them."""
    folder = make_world(tmp_path_factory.mktemp("cross"))
    make_sketchfer(folder / "data", train=80, test=40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPAFER_CACHE", str(folder / "cache"))
        for seed in (1, 2):
            train(folder, f"rafdb/MPAFER/tiny_all/seed{seed}", "MPAFER", seed=seed)
        train(folder, "some", "CoOp", **{"DATASET.SUBSAMPLE_CLASSES": "anger,happiness,fear"})
        train(folder, "zero", "ZeroshotCLIP")
        yield folder


def train(world: Path, name: str, method: str, **options: Any) -> None:
    make_trainer(world, world / "out" / name, method, **{"OPTIM.MAX_EPOCH": 1} | options).train()


@pytest.fixture
def run(world: Path) -> Path:
    return world / "out/rafdb/MPAFER/tiny_all/seed1"


def truth(world: Path) -> dict[str, str]:
    """RAF-DB's test images -> class, from its own list."""
    path = world / "data/RAF-DB/basic/EmoLabel/list_patition_label.txt"
    rows = [line.split() for line in path.read_text().splitlines() if line.startswith("test")]
    return {name.removesuffix(".jpg"): RAFDB_IDS[int(label)] for name, label in rows}


def stem(image: str) -> str:
    return Path(image).stem.removesuffix("_aligned")


# --- classes


def items(*names: str) -> list[Datum]:
    return [Datum(f"{place}.jpg", 0, 0, name) for place, name in enumerate(names)]


def test_classes_are_matched_by_name_whatever_their_order_and_spelling() -> None:
    test = items("Happy", "contempt", "anger", "boredom", "contempt")
    kept = match_classes(test, ["Happy", "contempt", "anger", "boredom"], ["fear", "anger", "happiness"], "keep")
    assert [(item.impath, item.label, item.classname) for item in kept.items] == [
        ("0.jpg", 2, "happiness"), ("2.jpg", 1, "anger"),
    ]  # fmt: skip
    assert kept.dropped == {"contempt": 2, "boredom": 1} and kept.absent == ["fear"]
    assert kept.classnames == ["fear", "anger", "happiness"] and kept.columns == [0, 1, 2]
    masked = match_classes(test, ["Happy", "anger", "contempt"], ["fear", "anger", "happiness"], "mask")
    assert masked.classnames == ["anger", "happiness"] and masked.columns == [1, 2]
    assert [item.label for item in masked.items] == [1, 0] and masked.dropped == kept.dropped


@pytest.mark.parametrize(
    ("test", "ours", "rule", "message"),
    [
        (["contempt"], SEVEN, "keep", "no test image is of a class that the run knows: contempt; surprise,"),
        (["anger"], ["anger", "Angry"], "keep", "two of the run's classes are one expression"),
        (["anger"], SEVEN, "drop", "TEST.CROSS_CLASSES is 'drop'; choose one of keep, mask"),
    ],
)
def test_classes_that_cannot_be_matched(test: list[str], ours: list[str], rule: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        match_classes(items(*test), test, ours, rule)


# --- evaluation


def test_on_its_own_data_set_a_run_gives_its_own_results(world: Path, run: Path, tmp_path: Path) -> None:
    tested = evaluate(run, "rafdb", str(world / "data"), tmp_path)
    np.testing.assert_allclose(scores(tmp_path), scores(run), atol=1e-5)
    own, written = results(run), results(tmp_path)
    assert written["metrics"] == own["metrics"] == tested.metrics and written["predictions"] == own["predictions"]
    assert written.keys() == own.keys() | {"cross"}  # the usual shape
    for key in ("trainer", "seed", "epochs", "classnames", "learnable_values", "checkpoint_bytes", "train_seconds"):
        assert written[key] == own[key], key
    assert written["cross"]["dropped"] == {} and written["cross"]["absent"] == []


def test_another_data_set_goes_through_the_runs_transform(world: Path, run: Path, tmp_path: Path) -> None:
    evaluate(run, "sketchfer8", str(world / "data"), tmp_path)
    record = results(tmp_path)
    lines = (world / "data/sketchfer/annotations.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["split"] == "test"]
    contempt = sum(row["label"] == "contempt" for row in rows)
    assert record["dataset"] == "SketchFER8" and record["split"] == "test"
    assert record["cross"] == {
        "source": {
            "run": str(run), "dataset": "RAFDB", "title": "RAFDB", "classnames": SEVEN, "display_names": SEVEN,
            "metrics": {key: results(run)["metrics"][key] for key in ("accuracy", "uar")},
        },
        "rule": "keep", "dropped": {"contempt": contempt}, "absent": [],
    }  # fmt: skip
    assert contempt > 0 and record["num_images"] == 40 - contempt
    label = {f"sketchfer/{row['file']}": row["label"] for row in rows}
    assert all(SEVEN[row["label"]] == label[row["image"]] for row in record["predictions"])
    images = [str(world / "data" / row["image"]) for row in record["predictions"]]
    answers = Predictor(run, faces="none", device="cpu")(images)
    expected = torch.tensor([list(answer.probabilities.values()) for answer in answers])
    torch.testing.assert_close(torch.from_numpy(scores(tmp_path)).softmax(1), expected, atol=1e-5, rtol=1e-4)
    ours, theirs = record["config"], results(run)["config"]
    assert (
        ours["INPUT"] == theirs["INPUT"] and ours["MODEL"] == theirs["MODEL"] and ours["TRAINER"] == theirs["TRAINER"]
    )
    assert ours["DATASET"]["NAME"] == "SketchFER8" and ours["TEST"]["CROSS_CLASSES"] == "keep"


@pytest.mark.parametrize("rule", ["keep", "mask"])
def test_a_data_set_of_fewer_classes(
    world: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], rule: str
) -> None:
    options = ["DATASET.SUBSAMPLE_CLASSES", "happiness,anger", "TEST.CROSS_CLASSES", rule]
    place = ["--dataset", "rafdb", "--root", str(world / "data"), "--out", str(tmp_path), "--device", "cpu"]
    main([str(run), *place, *options])
    printed, record = capsys.readouterr().out, results(tmp_path)
    others = [name for name in SEVEN if name not in ("happiness", "anger")]
    assert record["cross"]["absent"] == others and record["cross"]["rule"] == rule and record["num_images"] == 8
    assert f"RAFDB lacks: {', '.join(others)};" in printed and f"(TEST.CROSS_CLASSES {rule})" in printed
    names = SEVEN if rule == "keep" else ["happiness", "anger"]  # as the run orders them
    assert record["classnames"] == names
    known = truth(world)
    assert all(names[row["label"]] == known[stem(row["image"])] for row in record["predictions"])
    own = {row["image"]: score for row, score in zip(results(run)["predictions"], scores(run), strict=True)}
    columns = [SEVEN.index(name) for name in names]
    expected = np.stack([own[row["image"]][columns] for row in record["predictions"]])
    np.testing.assert_allclose(scores(tmp_path), expected, atol=1e-5)
    recalls = record["metrics"]["per_class_recall"]
    assert record["metrics"]["uar"] == pytest.approx((recalls["happiness"] + recalls["anger"]) / 2)


def test_a_data_set_of_more_classes(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = world / "out/some"  # anger, happiness, fear, in this order
    place = ["--dataset", "RAFDB", "--root", str(world / "data"), "--out", str(tmp_path), "--device", "cpu"]
    main([str(source), *place])
    printed, record, known = capsys.readouterr().out, results(tmp_path), truth(world)
    names = ["anger", "happiness", "fear"]
    assert record["classnames"] == names and record["num_images"] == 12
    assert record["cross"]["dropped"] == {name: 4 for name in SEVEN if name not in names}
    assert "Dropped, of classes the run does not know: 16 images (" in printed and "lacks: none" in printed
    assert all(names[row["label"]] == known[stem(row["image"])] for row in record["predictions"])
    assert record["metrics"] == results(source)["metrics"]
    wrong = Counter(known[stem(row["image"])] == SEVEN[row["label"]] for row in record["predictions"])
    assert not wrong[True]  # control: by number instead of by name no label would be right


def test_what_learns_nothing_is_tested_without_a_checkpoint(world: Path, tmp_path: Path) -> None:
    record = evaluate(world / "out/zero", "rafdb", str(world / "data"), tmp_path)
    assert record.metrics == results(world / "out/zero")["metrics"] and record.learnable_values == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"run": "nowhere"}, "no finished run"),
        ({"out": "run"}, "is the run's own folder"),
        ({"dataset": "RAFBD"}, "no data set 'RAFBD': did you mean RAFDB?"),
        ({"root": "nowhere"}, "RAFDB was not found"),
        ({"backbone": "clip.safetensors"}, "is of another backbone"),
        ({"options": ["INPUT.SIZE", "(32, 32)"]}, "INPUT.SIZE is the run's own"),
        ({"options": ["TEST.CROSS_CLASSES", "drop"]}, "TEST.CROSS_CLASSES is 'drop'"),
        ({"options": ["DATASET.SUBSAMPLE_CLASSES"]}, "KEY VALUE pairs"),
    ],
)
def test_refusals_are_one_line(world: Path, run: Path, tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    values: dict[str, Any] = {"run": run, "dataset": "rafdb", "root": world / "data", "out": tmp_path, "backbone": ""}
    values |= {"options": []} | changed
    values["run"], values["out"] = world / values["run"], run if values["out"] == "run" else values["out"]
    if values["backbone"]:
        values["backbone"] = world / values["backbone"]
    flags = [f"--{name}={values[name]}" for name in ("dataset", "root", "out", "backbone")]
    with pytest.raises(SystemExit, match=re.escape(message)) as refused:
        main([str(values["run"]), *flags, "--device=cpu", *values["options"]])
    assert str(refused.value).startswith("error: ")


# --- drawn faces


def test_the_second_drawn_domain_is_another(cfg: Any, world: Path, tmp_path: Path) -> None:
    from mpafer.datasets.sketchfer import SketchFERB
    from mpafer.sketch import SKETCHFER_B, generate_dataset, is_complete

    assert SKETCHFER_B.test >= 1500 > SKETCHFER_B.train
    folder = generate_dataset(tmp_path, SKETCHFER_B, train=60, test=20, workers=1)
    assert folder.name == "sketchfer_b" and is_complete(tmp_path, SKETCHFER_B) and not is_complete(tmp_path)
    other = world / "data/sketchfer"
    here, there = (
        [json.loads(line) for line in (place / "annotations.jsonl").read_text().splitlines()]
        for place in (folder, other)
    )
    media = [{row["style"]["medium"] for row in rows} for rows in (here, there)]
    assert media[0] == {"poster", "chalk"} and not media[0] & media[1]
    assert all((folder / row["file"]).read_bytes() != (other / row["file"]).read_bytes() for row in here)
    data = SketchFERB(cfg)
    assert data.classnames == SEVEN and all("sketchfer_b/test" in item.impath for item in data.test)


# --- tables


def result(folder: Path, seed: int, right: int, *, dataset: str = "CKPlus", **other: Any) -> None:
    labels = np.arange(10) % 2
    named = np.where(np.arange(10) < right, labels, 1 - labels)
    source = {
        "run": f"output/rafdb/MPAFER/vit_b16_all/seed{seed}",
        "dataset": "RAFDB",
        "classnames": ["fear", "anger"],
        "metrics": {"accuracy": 90.0, "uar": 80.0},
    }
    note = {"source": source, "rule": "keep", "dropped": {"contempt": 3}, "absent": []}
    if "source" in other:
        note["source"] = source | {"dataset": other.pop("source")}
    config = {"SEED": seed, "DATASET": {"NUM_SHOTS": -1}, "MODEL": {"BACKBONE": {"NAME": "tiny"}}}
    write_run(
        folder / f"seed{seed}", trainer="MPAFER", dataset=dataset, seed=seed, config=config,
        classnames=["fear", "anger"],
        images=[f"{place}.png" for place in range(10)], labels=labels, scores=5.0 * np.eye(2)[named],
        cross=None if other.pop("plain", False) else note | other,
    )  # fmt: skip


def test_the_table_has_measured_rows_and_published_ones_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, right in ((1, 8), (2, 6), (3, 7)):
        result(tmp_path / "ckplus/MPAFER/vit_b16_all", seed, right)
    masked = tmp_path / "affectnet7/MPAFER/vit_b16_all_TEST.CROSS_CLASSES=mask"
    result(masked, 1, 5, dataset="AffectNet7", rule="mask", absent=["fear"], dropped={})
    write_cross([tmp_path], tmp_path / "tables")
    printed = capsys.readouterr().out
    text = (tmp_path / "tables/cross_dataset.md").read_text()
    measured, published = text.split("## Published for training on RAFDB, not measured here")
    assert "54.90" in published and "86.55" in published and "gACNN" in published and "gACNN" in printed
    assert not re.search("54.90|86.55|gACNN", measured)
    lines = [re.sub(" +", " ", line) for line in measured.splitlines() if line.startswith("| ")][1:]
    assert lines == [
        "| RAFDB | MPAFER | vit_b16_all | - | - | - | 3 | 90.00 ± 0.00 | 80.00 ± 0.00 |",
        "| AffectNet7 | MPAFER | vit_b16_all | fear (mask) | 10 | - | 1 | 50.00 | 50.00 |",
        "| CKPlus | MPAFER | vit_b16_all | - | 10 | contempt 3 | 3 | 70.00 ± 10.00 | 70.00 ± 10.00 |",
    ]
    with open(tmp_path / "tables/cross_dataset.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["tested_on"] for row in rows] == ["RAFDB", "AffectNet7", "CKPlus"]
    assert rows[2]["seeds"] == "1 2 3" and rows[2]["dropped"] == "contempt=3" and float(rows[2]["accuracy"]) == 70
    data = json.loads((tmp_path / "tables/cross_dataset.json").read_text())
    assert data["published"]["rows"]["CRS-CONT"] == {"CKPlus": 84.43, "AffectNet7": 50.71}
    assert len(data["rows"]) == 3 and data["rows"][2]["accuracy_sd"] == pytest.approx(10)


def test_other_sources_have_no_published_rows(tmp_path: Path) -> None:
    result(tmp_path / "sketchfer_b/MPAFER/tiny_all", 1, 5, dataset="SketchFERB", source="SketchFER")
    table = cross_table([tmp_path])
    assert table.published is None and table.trained_on == "SketchFER"
    write_cross([tmp_path], tmp_path)
    text = (tmp_path / "cross_dataset.md").read_text()
    assert "Published" not in text and "say nothing about photographs" in text


def test_tables_refuse_what_does_not_belong_together(tmp_path: Path) -> None:
    for name, other, message in (
        ("rule", {"rule": "mask"}, "differ in rule: keep, mask"),
        ("source", {"source": "FERPlus"}, "of FERPlus, RAFDB"),
        ("plain", {"plain": True}, "is a run's own test, not one on another data set"),
    ):
        result(tmp_path / name, 1, 5)
        result(tmp_path / name, 2, 5, **other)
        with pytest.raises(ValueError, match=message):
            cross_table([tmp_path / name])


def test_comparisons_say_what_was_trained_on(tmp_path: Path) -> None:
    result(tmp_path / "MPAFER/tiny_all", 1, 5, dataset="AffectNet7")
    comparison = compare(load_experiments(tmp_path))
    assert comparison.dataset == "AffectNet7, trained on RAFDB" and comparison.published is None
    result(tmp_path / "CoOp/tiny_all", 1, 5, dataset="AffectNet7", plain=True)
    with pytest.raises(ValueError, match="different data sets trained on"):
        load_experiments(tmp_path)
