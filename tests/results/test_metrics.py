"""Metrics, the printed report, predictions and the results file."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from support.results import write_run

from mpafer.common import versions
from mpafer.common.defaults import default_config
from mpafer.evaluation.dassl_lines import print_report, save_confusion
from mpafer.evaluation.metrics import classification_metrics
from mpafer.evaluation.predictions import collect_predictions
from mpafer.results.schema import SCHEMA, RunResult

NAMES = ["anger", "fear", "joy", "neutral"]


@pytest.fixture
def sample():
    """Labels and logits of forty images; the class joy does not occur."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 40)
    labels[labels == 2] = 1
    scores = rng.normal(size=(40, 4))
    scores[np.arange(40), labels] += 1
    return labels, scores


def test_figures_are_dassls(sample):
    """Golden numbers of Dassl's evaluator on the sample, commit c61a1b5."""
    metrics = classification_metrics(*sample, NAMES)
    assert metrics["accuracy"] == pytest.approx(65.0)
    assert metrics["macro_f1"] == pytest.approx(66.52421652421653)
    assert metrics["uar"] == pytest.approx(63.333333333333336)
    assert metrics["per_class_recall"] == {"anger": 70.0, "fear": 70.0, "joy": None, "neutral": 50.0}
    labels, scores = sample
    shifted = classification_metrics(labels, np.roll(scores, 1, axis=1), NAMES)
    assert shifted["macro_f1"] != pytest.approx(66.52421652421653)


def test_confusion_has_true_rows(sample):
    labels, scores = sample
    counts = np.array(classification_metrics(labels, scores, NAMES)["confusion"])
    expected = np.zeros((4, 4), int)
    for true, predicted in zip(labels, scores.argmax(axis=1), strict=True):
        expected[true, predicted] += 1
    assert (counts == expected).all() and not (counts == expected.T).all()


def test_calibration_error_restated(sample):
    """Share-weighted gap between confidence and accuracy in 15 equal bins (Guo et al., arXiv:1706.04599)."""
    labels, scores = sample
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    confidence, hit = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels

    def gap(bins: int) -> float:
        members = [np.ceil(confidence * bins) == b + 1 for b in range(bins)]
        return 100 * sum(abs(confidence[m].mean() - hit[m].mean()) * m.mean() for m in members if m.any())

    ece = classification_metrics(labels, scores, NAMES)["ece"]
    assert ece == pytest.approx(gap(15), abs=1e-3)
    assert ece != pytest.approx(gap(3), abs=1e-3)
    hot = classification_metrics(labels, 1000 * scores, NAMES)  # sure of everything: the gap is the error rate
    assert hot["ece"] == pytest.approx(35.0, abs=0.2) and hot["accuracy"] == pytest.approx(65.0)


def test_metric_errors(sample):
    labels, scores = sample
    with pytest.raises(ValueError, match=r"shape \(40, 4\), expected \(40, 3\)"):
        classification_metrics(labels, scores, NAMES[:3])
    with pytest.raises(ValueError, match=r"labels span 0\.\.3, expected 0\.\.2"):
        classification_metrics(labels, scores[:, :3], NAMES[:3])
    with pytest.raises(ValueError, match="no images"):
        classification_metrics(labels[:0], scores[:0], NAMES)
    with pytest.raises(ValueError, match="class names repeat"):
        classification_metrics(labels, scores, ["sad", "sad", "glad", "mad"])
    scores[7, 1] = np.nan
    with pytest.raises(ValueError, match="1 images are infinite or NaN, first image 7"):
        classification_metrics(labels, scores, NAMES)


def test_the_printed_report_is_dassls(sample, tmp_path, capsys):
    metrics = classification_metrics(*sample, NAMES)
    print_report(metrics, per_class=True)
    save_confusion(metrics["confusion"], tmp_path / "cmat.pt")
    report = capsys.readouterr().out
    dassl = "=> result\n* total: 40\n* correct: 26\n* accuracy: 65.0%\n* error: 35.0%\n* macro_f1: 66.5%\n"
    assert report.startswith(f"{dassl}* uar: 63.3%\n* ece: ")
    assert report.endswith(
        "=> per-class result\n"
        "* class: 0 (anger)\ttotal: 10\tcorrect: 7\tacc: 70.0%\n"
        "* class: 1 (fear)\ttotal: 20\tcorrect: 14\tacc: 70.0%\n"
        "* class: 3 (neutral)\ttotal: 10\tcorrect: 5\tacc: 50.0%\n"
        "* average: 63.3%\n"
        f"Confusion matrix is saved to {tmp_path}/cmat.pt\n"
    )
    assert torch.load(tmp_path / "cmat.pt")[0, 0] == pytest.approx(0.7)
    print_report(metrics, per_class=False)
    assert "per-class" not in capsys.readouterr().out


def test_predictions_are_in_order_and_count_an_image_once():
    def batch(*indices: int) -> dict:
        return {"index": torch.tensor(indices), "impath": [f"{i}.png" for i in indices]}

    def infer(batch: dict) -> tuple[torch.Tensor, torch.Tensor]:
        index = batch["index"]
        return torch.stack([index, -index], dim=1).half(), index % 2

    found = collect_predictions([batch(3, 0), batch(2, 3), batch(1)], infer)  # two ranks may both have seen image 3
    assert found.scores.tolist() == [[0, 0], [1, -1], [2, -2], [3, -3]] and found.scores.dtype == torch.float32
    assert found.labels.tolist() == [0, 1, 0, 1] and found.impaths == ["0.png", "1.png", "2.png", "3.png"]
    with pytest.raises(ValueError, match="no images"):
        collect_predictions([], infer)


# --- results.json


def write(directory: Path, sample, **changes) -> Path:
    labels, scores = sample
    settings = {
        "trainer": "MPAFER", "dataset": "RAFDB", "seed": 1, "config": default_config(), "classnames": NAMES,
        "images": [f"test/{i}.png" for i in range(40)], "labels": labels, "scores": scores,
    }  # fmt: skip
    return write_run(directory, **(settings | changes))


KEYS = {
    "schema", "trainer", "dataset", "split", "seed", "epochs", "engine", "versions", "commit", "device", "config",
    "classnames", "display_names", "metrics", "num_images", "predictions", "scores_file", "learnable_values",
    "checkpoint_bytes", "train_seconds", "images_per_second", "fewshot_images", "fewer_images", "skipped", "made_of",
    "peak_memory_bytes", "peak_memory_of",
}  # fmt: skip


def test_results_file_holds_the_run(tmp_path, sample):
    labels, scores = sample
    file = write(tmp_path / "new" / "run", sample, fewshot_images=["train/1.png"], train_seconds=np.float32(2.5))
    read = json.loads(file.read_text(), parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert set(read) == KEYS and read["schema"] == SCHEMA
    assert read["predictions"][3] == {"image": "test/3.png", "label": labels[3], "pred": scores[3].argmax()}
    assert read["config"]["OPTIM"]["STEPSIZE"] == [-1] and read["metrics"]["accuracy"] == pytest.approx(65.0)
    assert set(read["metrics"]) == {"accuracy", "uar", "macro_f1", "ece", "per_class_recall", "confusion"}
    assert read["versions"]["torch"] and read["train_seconds"] == 2.5
    stored = np.load(file.parent / read["scores_file"])
    assert np.allclose(stored["scores"], scores) and (stored["labels"] == labels).all()
    cross = {"source": {"dataset": "FERPlus"}}
    assert set(json.loads(write(tmp_path / "cross", sample, cross=cross).read_text())) == KEYS | {"cross"}


def test_what_is_written_is_read_again(tmp_path, sample):
    run = RunResult.read(write(tmp_path, sample, cross={"source": {"dataset": "FERPlus"}}))
    assert run.trained_on == "FERPlus" and run.schema == SCHEMA and run.file == tmp_path / "results.json"
    assert run.images[3] == "test/3.png" and (run.labels == sample[0]).all() and run.classnames == NAMES
    assert (run.predicted == sample[1].argmax(axis=1)).all() and run.correct.mean() == pytest.approx(0.65)
    again = tmp_path / "again"
    run.write(again, sample[1])
    assert (again / "results.json").read_bytes() == (tmp_path / "results.json").read_bytes()


def test_a_file_of_the_first_schema_is_read() -> None:
    """It has no number; an engine called builtin ran it, and its config has the options of every method."""
    file = Path(__file__).parent / "data/results_of_schema_1.json"
    content, run = json.loads(file.read_text()), RunResult.read(file)
    assert "schema" not in content and {"COOP", "MPAFER"} <= content["config"]["TRAINER"].keys()
    assert (run.schema, run.engine["name"], run.dataset, run.trained_on) == (1, "builtin", "SketchFER", "SketchFER")
    assert list(run.labels) == [0, 1, 2, 0, 1, 2] and run.images[0] == "sketchfer/test/0.png" and run.learnable_values
    assert run.metrics == content["metrics"] and 100 * run.correct.mean() == pytest.approx(run.metrics["accuracy"])
    assert run.config == content["config"] and run.commit == content["commit"] and run.versions["torch"]
    assert run.cross is None and run.peak_memory_of == "process"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda record: record.pop("metrics"), "it lacks metrics"),
        (lambda record: record.update(schema=99), "is of schema 99, a newer mpafer's; this one reads up to"),
        (lambda record: record["predictions"][3].pop("pred"), r"its predictions are damaged \(KeyError\('pred'\)\)"),
        (lambda record: record["predictions"][3].update(pred="joy"), "its predictions are damaged"),
        (lambda record: record.update(config=None), "its config is None, not a mapping; get it anew, or delete it"),
        (lambda record: record.update(metrics=[1]), r"its metrics is \[1\], not a mapping"),
        (lambda record: record.update(schema="2"), "its schema is .2., not a whole number"),
    ],
)
def test_one_message_names_a_file_that_is_none(tmp_path, sample, spoil, message):
    file = write(tmp_path, sample)
    record = json.loads(file.read_text())
    spoil(record)
    file.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=rf"results\.json .*{message}"):
        RunResult.read(file)
    file.write_text("[]")
    with pytest.raises(ValueError, match=r"results\.json is not a result file of ours: it holds a list"):
        RunResult.read(file)


def test_an_unusable_run_is_not_finished(tmp_path, sample):
    labels, scores = sample
    with pytest.raises(ValueError, match="39 images, 40 labels, 40 rows"):
        write(tmp_path, sample, images=[f"{i}.png" for i in range(39)])
    with pytest.raises(ValueError, match="infinite or NaN"):
        write(tmp_path, (labels, scores * np.nan))
    with pytest.raises(ValueError, match="JSON"):
        write(tmp_path, sample, train_seconds=float("nan"))
    assert not (tmp_path / "results.json").exists()


def test_commit_is_that_of_our_own_checkout(tmp_path, monkeypatch):
    def git(*command: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
        clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        command_line = ["git", "-C", str(tmp_path), *identity, *command]
        run = subprocess.run(command_line, check=True, capture_output=True, text=True, env=clean)
        return run.stdout.strip()

    module = tmp_path / "mpafer" / "versions.py"
    module.parent.mkdir()
    module.write_text("first")
    monkeypatch.setattr(versions, "__file__", str(module))
    assert versions.commit().startswith("mpafer ")  # no repository
    git("init")
    git("commit", "--allow-empty", "-m", "somebody else's")
    assert versions.commit().startswith("mpafer ")  # installed in somebody's checkout, but no part of it
    git("add", ".")
    git("commit", "-m", "ours")
    assert versions.commit() == git("rev-parse", "HEAD")
    module.write_text("changed")
    assert versions.commit() == git("rev-parse", "HEAD") + "-dirty"
