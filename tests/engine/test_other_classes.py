"""Shared prompts under other class names: base-to-new, and data sets with classes of their own."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.commands import invoke
from support.runs import make_world, prompts, results, scores, train_in_process

import mpafer
from mpafer.inputs.reading import read_image
from mpafer.inputs.transforms import plain_transform
from mpafer.results.comparison import compare
from mpafer.results.experiments import load_experiments
from mpafer.run_config import run_config
from mpafer.runs.catalog import method_file
from mpafer.trainers import METHODS

BASE, NEW = ["surprise", "fear", "disgust", "happiness"], ["sadness", "anger", "neutral"]
BOTH = [*BASE, *NEW]
SHORT = {"OPTIM.MAX_EPOCH": 1, "DATASET.NUM_SHOTS": 4}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature RAF-DB, and its images again under two names of no expression, none of them described."""
    folder = make_world(tmp_path_factory.mktemp("classes"))
    images = sorted((folder / "data").rglob("*_aligned.jpg"))
    for number, image in enumerate(images[:24]):
        place = folder / "data/ferfolder" / ("train", "test")[number % 2] / ("boredom", "calm")[number // 2 % 2]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, place)
    return folder


@pytest.fixture(scope="module")
def base(world: Path) -> Path:
    """MPAFER trained on CoOp's first half of the classes."""
    out = world / "out/base/MPAFER/tiny_4shots/seed1"
    train_in_process(world, out, **SHORT, **{"DATASET.SUBSAMPLE_CLASSES": "base"})
    return out


def evaluate(world: Path, run: Path, out: Path, **options: Any) -> str:
    return train_in_process(world, out, flags=["--eval-only", "--model-dir", str(run)], **options)


def test_base_to_new(world: Path, base: Path) -> None:
    before = {path: path.read_bytes() for path in base.rglob("*") if path.is_file()}
    out = world / "out/new/MPAFER/tiny_4shots/seed1"
    printed = evaluate(world, base, out, seed=5, **{"DATASET.SUBSAMPLE_CLASSES": "new"})
    assert f"Trained on RAFDB with the class names {', '.join(BASE)}" in printed
    assert f"Evaluated on RAFDB with the class names {', '.join(NEW)}" in printed
    result, own = results(out), results(base)
    assert result["classnames"] == NEW and result["num_images"] == 12 and result["seed"] == own["seed"] == 1
    assert result["cross"]["source"] == {"run": str(base), "dataset": "RAFDB", "classnames": BASE, "metrics": None}
    assert (result["cross"]["rule"], result["cross"]["absent"]) == ("renamed", BASE)
    assert result["config"]["DATASET"]["NUM_SHOTS"] == 4 and result["fewshot_images"] == []
    assert {path: path.read_bytes() for path in base.rglob("*") if path.is_file()} == before

    clip = mpafer.load_clip(str(world / "clip.safetensors"))
    cfg = run_config("MPAFER", "rafdb", method_file=method_file("MPAFER", "tiny"), pairs=["INPUT.SIZE", "(32, 32)"])
    model = mpafer.build_model("MPAFER", clip, NEW, **asdict(METHODS["MPAFER"].options_from(cfg))).eval()
    model.prompts.load_state_dict(prompts(base))
    transform = plain_transform(cfg.INPUT)
    paths = [world / "data" / row["image"] for row in result["predictions"]]
    with torch.no_grad():
        expected = model(torch.stack([transform(read_image(str(path))) for path in paths])).logits.numpy()
    np.testing.assert_allclose(scores(out), expected, atol=1e-3)


def test_tables_say_which_classes_were_trained_on(world: Path, base: Path) -> None:
    out = world / "tables/MPAFER/tiny_4shots/seed1"
    evaluate(world, base, out, **{"DATASET.SUBSAMPLE_CLASSES": "new"})
    comparison = compare(load_experiments(world / "tables"))
    assert comparison.dataset == f"RAFDB ({', '.join(NEW)}), trained on {', '.join(BASE)}"
    assert comparison.published is None
    train_in_process(world, world / "tables/CoOp/tiny_4shots/seed1", trainer="CoOp", **SHORT,
                     **{"DATASET.SUBSAMPLE_CLASSES": "new"})  # fmt: skip
    with pytest.raises(ValueError, match="of different classes trained on"):
        load_experiments(world / "tables")
    shutil.rmtree(world / "tables/CoOp")
    assert "renamed" in invoke("cross", str(world / "tables"))


@pytest.mark.parametrize("trainer", ["MPAFER", "CoCoOp"])
def test_other_classes_need_no_descriptions_to_be_evaluated(world: Path, tmp_path: Path, trainer: str) -> None:
    train_in_process(world, tmp_path / "run", trainer=trainer, **SHORT)
    evaluate(world, tmp_path / "run", tmp_path / "other", trainer=trainer, **{"DATASET.NAME": "FERFolder"})
    result = results(tmp_path / "other")
    assert result["dataset"] == "FERFolder" and result["classnames"] == ["boredom", "calm"]
    source = result["cross"]["source"]
    assert source["dataset"] == "RAFDB" and source["classnames"] == BOTH
    trained = results(tmp_path / "run")["made_of"]
    assert result["made_of"]["train"] == trained["train"], "of the images that it learned from"
    assert result["made_of"]["test"] != trained["test"]


def test_what_belongs_to_classes_is_refused_with_the_reason(world: Path, tmp_path: Path) -> None:
    specific = {"TRAINER.MPAFER.CSC": True}
    train_in_process(world, tmp_path / "csc", **SHORT, **specific)
    why = r"another classnames: .* there, .*: what MPAFER with CSC True learns belongs to the classes it was trained on"
    with pytest.raises(SystemExit, match=f"{why}; mpafer cross tests a run on the classes that both have$"):
        evaluate(world, tmp_path / "csc", tmp_path / "a", **specific, **{"DATASET.SUBSAMPLE_CLASSES": "new"})
    with pytest.raises(SystemExit, match=f"{why}$"):
        evaluate(world, tmp_path / "csc", tmp_path / "b", **specific, **{"DATASET.NAME": "FERFolder"})
    train_in_process(world, tmp_path / "probe", trainer="LinearProbe", **SHORT)
    with pytest.raises(SystemExit, match="what LinearProbe learns belongs to the classes it was trained on"):
        evaluate(world, tmp_path / "probe", tmp_path / "c", trainer="LinearProbe", **{"DATASET.NAME": "FERFolder"})


def test_no_run_goes_on_under_other_class_names(world: Path, base: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"another classnames: \['surprise', .* there, \['sadness'"):
        train_in_process(
            world, tmp_path, flags=["--resume", str(base)], **SHORT, **{"DATASET.SUBSAMPLE_CLASSES": "new"}
        )


def test_an_option_younger_than_a_run_is_compared_by_its_default(world: Path, tmp_path: Path) -> None:
    """One prompted layer of two: the first or the second, with the same shapes."""
    options = {**SHORT, "TRAINER.MPAFER.VISUAL_DEPTH": 1}
    train_in_process(world, tmp_path / "run", **options)
    (checkpoint,) = (tmp_path / "run/prompts").glob("model.pth.tar-*")
    state = torch.load(checkpoint, weights_only=True)
    state["extra"]["config"] = state["extra"]["config"].replace("    VISUAL_FIRST: 1\n", "")
    assert "VISUAL_FIRST" not in state["extra"]["config"]
    torch.save(state, checkpoint)
    evaluate(world, tmp_path / "run", tmp_path / "same", **options)
    assert np.array_equal(scores(tmp_path / "same"), scores(tmp_path / "run"))
    with pytest.raises(SystemExit, match="VISUAL_FIRST 1 there, 2 here"):
        evaluate(world, tmp_path / "run", tmp_path / "a", **options, **{"TRAINER.MPAFER.VISUAL_FIRST": 2})
