"""Checkpoints that are none of a run, or damaged: every command says so, and none gives an answer that is NaN."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support.commands import run_command
from support.foreign import any_clip, huggingface, huggingface_config, write
from support.models import random_clip
from support.runs import make_trainer, make_world, results, scores

import mpafer
from mpafer.clip.sizes import GELU, OPENAI, QUICKGELU, BlockSizes
from mpafer.common.errors import CheckpointError, DataError, OptionError
from mpafer.common.identity import differences
from mpafer.evaluation.predictions import collect_predictions
from mpafer.inference.cross import evaluate
from mpafer.inference.predictor import Predictor
from mpafer.inference.saved import load_run

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A miniature RAF-DB and a finished run in run/."""
    folder = make_world(tmp_path_factory.mktemp("contents"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPAFER_CACHE", str(folder / "cache"))
        make_trainer(folder, folder / "run", "MPAFER", **{"OPTIM.MAX_EPOCH": 1}).train()
        yield folder


def changed(world: Path, out: Path, change: Change) -> Path:
    """A copy of the run with another checkpoint."""
    shutil.copytree(world / "run", out)
    path = out / "prompts/model.pth.tar-1"
    torch.save(change(torch.load(path, weights_only=True)), path)
    return out


def photograph(world: Path) -> str:
    return str(world / "data" / results(world / "run")["predictions"][0]["image"])


def without(*keys: str) -> Change:
    """The checkpoint without one entry, by its path."""

    def change(state: dict[str, Any]) -> dict[str, Any]:
        node = state
        for key in keys[:-1]:
            node = node[key]
        del node[keys[-1]]
        return state

    return change


def with_value(value: Any, *keys: str) -> Change:
    def change(state: dict[str, Any]) -> dict[str, Any]:
        node = state
        for key in keys[:-1]:
            node = node[key]
        node[keys[-1]] = value
        return state

    return change


def with_prompt(value: float) -> Change:
    def change(state: dict[str, Any]) -> dict[str, Any]:
        state["state_dict"]["text.ctx"][0, :2] = value
        return state

    return change


BROKEN: dict[str, tuple[Change, str]] = {
    "list": (lambda state: [1, 2], "is no checkpoint of a run: it holds a list"),
    "epoch": (without("epoch"), "it lacks 'epoch'"),
    "text epoch": (with_value("last", "epoch"), "its epoch is a str, not a int"),
    "weights": (without("state_dict"), "it lacks 'state_dict'"),
    "number": (with_value(1, "state_dict", "text.ctx"), r"its text\.ctx is no plain tensor"),
    "sparse": (with_value(torch.eye(3).to_sparse(), "state_dict", "text.ctx"), r"its text\.ctx is no plain tensor"),
    "extra": (without("extra"), "a checkpoint of another program"),
    "identity": (without("extra", "identity"), "a checkpoint of another program"),
    "method": (without("extra", "identity", "method"), "it lacks 'method'"),
    "config": (with_value("[1, 2", "extra", "config"), "the config in it cannot be read"),
    "unknown method": (with_value("MPAFERR", "extra", "identity", "method"), "is of 'MPAFERR'.*did you mean MPAFER"),
    "missing": (
        without("state_dict", "text.ctx"),
        r"does not fit this model: text\.ctx is not there, \[10, 128\]",
    ),
    "shape": (with_value(torch.ones(3), "state_dict", "text.ctx"), r"text\.ctx is \[3\] there, \[10, 128\] here"),
    "nan": (with_prompt(torch.nan), r"text\.ctx holds NaN or infinity, the file is damaged"),
    "infinity": (with_prompt(-torch.inf), r"text\.ctx holds NaN or infinity"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_checkpoint_that_is_none_is_named(world: Path, tmp_path: Path, name: str) -> None:
    change, message = BROKEN[name]
    run = changed(world, tmp_path / "run", change)
    with pytest.raises(CheckpointError, match=rf"model\.pth\.tar-1.*{message}"):
        load_run(run)
    with pytest.raises(SystemExit, match=rf"^error: .*{message}"):
        run_command("mpafer.predict", str(run), photograph(world))


def test_training_and_evaluation_refuse_them_too(world: Path, tmp_path: Path) -> None:
    broken = changed(world, tmp_path / "broken", with_prompt(torch.nan))
    with pytest.raises(CheckpointError, match="holds NaN or infinity"):
        make_trainer(world, tmp_path / "loaded", "MPAFER").load_model(str(broken))
    with pytest.raises(CheckpointError, match="holds NaN or infinity"):
        make_trainer(world, broken, "MPAFER", **{"OPTIM.MAX_EPOCH": 1}).train()
    with pytest.raises(CheckpointError, match="holds NaN or infinity"):
        evaluate(broken, "rafdb", str(world / "data"), tmp_path / "cross")
    with pytest.raises(CheckpointError, match="it holds a list"):
        make_trainer(world, tmp_path / "loaded", "MPAFER").load_model(
            str(changed(world, tmp_path / "list", lambda state: [1]))
        )


def test_finite_weights_whose_answers_are_not_give_no_answer(world: Path, tmp_path: Path) -> None:
    """Two flipped bits make 1e38 of a prompt."""
    run = changed(world, tmp_path / "run", with_prompt(3e38))
    message = r"the model's answer is NaN or infinite for \d+ of \d+ images, first .*\.jpg: no answer is given"
    with pytest.raises(SystemExit, match=rf"^error: {message}"):
        run_command("mpafer.predict", str(run), photograph(world))
    with pytest.raises(DataError, match=message):
        evaluate(run, "rafdb", str(world / "data"), tmp_path / "cross")
    loaded = make_trainer(world, tmp_path / "loaded", "MPAFER")
    loaded.load_model(str(run))
    with pytest.raises(DataError, match=message):
        loaded.test()
    assert not (tmp_path / "cross").exists() and not (tmp_path / "loaded/results.json").exists()


def test_flipped_bits_are_found_by_their_checksum(world: Path, tmp_path: Path) -> None:
    run = changed(world, tmp_path / "run", with_prompt(1.0))
    path = run / "prompts/model.pth.tar-1"
    content = bytearray(path.read_bytes())
    place = content.index(torch.ones(2).numpy().tobytes())
    content[place + 2] ^= 0x10  # 1.0 becomes 1.125: as finite as before
    path.write_bytes(content)
    assert torch.load(path, weights_only=True)["state_dict"]["text.ctx"][0, 0] == 1.125  # control: torch reads it
    with pytest.raises(CheckpointError, match=r"it is damaged, .* has another checksum than when it was written"):
        load_run(run)


def test_a_damaged_checkpoint_passes_no_advice_on(world: Path, tmp_path: Path) -> None:
    run = changed(world, tmp_path / "run", lambda state: state | {"object": Path("x")})
    with pytest.raises(CheckpointError, match="holds more than the tensors and plain values") as caught:
        load_run(run)
    assert "weights_only" not in str(caught.value) and "\n" not in str(caught.value)
    (run / "prompts/model.pth.tar-1").write_bytes(b"<html></html>")
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint: it is an HTML page"):
        load_run(run)


def test_scores_are_named_by_their_image() -> None:
    batches = [{"img": torch.ones(2, 1), "label": torch.zeros(2), "index": [0, 1], "impath": ["a.png", "b.png"]}]
    bad = torch.tensor([[0.0, 1.0], [0.0, torch.nan]])
    with pytest.raises(DataError, match=r"for 1 of 2 images, first b\.png"):
        collect_predictions(batches, lambda batch: (bad, batch["label"]))


# --- the activation, from a run's beginning to its predictions


def test_a_run_keeps_its_activation(world: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """GELU weights of Hugging Face's names: config, results, checkpoint, prediction, also where the config has gone."""
    plain = BlockSizes(activation=GELU)
    state = huggingface(any_clip((plain, plain)).openai_state_dict())
    file = write(tmp_path / "hf", "model.safetensors", state, config=huggingface_config("gelu"))
    options = {"MODEL.BACKBONE.NAME": file, "OPTIM.MAX_EPOCH": 1, "INPUT.SIZE": "(32, 32)"}
    trainer = make_trainer(world, tmp_path / "run", "MPAFER", **options)
    trainer.train()
    assert trainer.model.clip.activation == GELU
    assert results(tmp_path / "run")["config"]["MODEL"]["BACKBONE"]["ACTIVATION"] == GELU
    images = [str(world / "data" / row["image"]) for row in results(tmp_path / "run")["predictions"]]
    expected = torch.from_numpy(scores(tmp_path / "run")).softmax(dim=1)

    (tmp_path / "hf/config.json").unlink()
    answers = Predictor(tmp_path / "run", faces="none", device="cpu")(images)
    found = torch.tensor([list(answer.probabilities.values()) for answer in answers])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    with pytest.raises(OptionError, match="its activation is not known"):
        make_trainer(world, tmp_path / "other", "MPAFER", **options)
    asked = options | {"MODEL.BACKBONE.ACTIVATION": QUICKGELU}
    other = make_trainer(world, tmp_path / "other", "MPAFER", **asked)
    with pytest.raises(CheckpointError, match="is of another activation: gelu there, quickgelu in this run"):
        other.load_model(str(tmp_path / "run"))
    evaluate(tmp_path / "run", "rafdb", str(world / "data"), tmp_path / "cross")
    assert results(tmp_path / "cross")["metrics"] == results(tmp_path / "run")["metrics"]


def test_prototypes_of_one_activation_are_not_taken_for_the_others(world: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "clip.pt", any_clip((OPENAI, OPENAI)).openai_state_dict())
    found = {}
    for activation in (QUICKGELU, GELU):
        options = {"MODEL.BACKBONE.NAME": file, "INPUT.SIZE": "(32, 32)", "MODEL.BACKBONE.ACTIVATION": activation}
        found[activation] = make_trainer(world, tmp_path / activation, "MPAFER", **options).class_prototypes()
    assert not torch.allclose(found[QUICKGELU], found[GELU])


def test_a_run_from_before_the_option_was_quickgelu(world: Path, tmp_path: Path) -> None:
    def older(state: dict[str, Any]) -> dict[str, Any]:
        del state["extra"]["identity"]["activation"]
        config = state["extra"]["config"]
        assert "    ACTIVATION: quickgelu\n" in config
        state["extra"]["config"] = config.replace("    ACTIVATION: quickgelu\n", "")
        return state

    run = changed(world, tmp_path / "run", older)
    model, _ = load_run(run)
    assert model.clip.activation == QUICKGELU
    resumed = make_trainer(world, run, "MPAFER", **{"OPTIM.MAX_EPOCH": 1})
    resumed.train()
    new, old = make_trainer(world, tmp_path / "new", "MPAFER").cfg, resumed.cfg
    assert not {key for key in differences(new, old) if "ACTIVATION" in key}


# --- the Python API


def test_the_api_refuses_images_and_prototypes_that_are_none() -> None:
    clip, names = random_clip(), ["anger", "fear"]
    model = mpafer.build_model("MPAFER", clip, names, top_k=4)
    with pytest.raises(ValueError, match=r"images are torch\.uint8, expected decimals"):
        model(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    for shape in ((3, 32, 32), (1, 1, 32, 32), (1, 32, 32, 3)):
        with pytest.raises(ValueError, match="expected a batch"):
            model(torch.zeros(shape))
    bad = torch.ones(2, 32)
    bad[1, 3] = torch.nan
    prototypes: list[tuple[Any, str]] = [
        (bad, "prototypes hold NaN or infinity, first in row 1"),
        (torch.ones(2, 32, dtype=torch.int64), r"prototypes are torch\.int64, expected a tensor of decimals"),
        ([[1.0]], "prototypes are list"),
        (torch.ones(3, 32), r"prototypes are \(3, 32\), expected \(2, 32\)"),
    ]
    for value, message in prototypes:
        with pytest.raises(ValueError, match=message):
            mpafer.build_model("MPAFER", clip, names, top_k=4, prototypes=value)
    with pytest.raises(TypeError, match=r"clip is a str, expected what mpafer\.load_clip gives"):
        mpafer.build_model("MPAFER", "tiny", names)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="classnames is the text 'anger'"):
        mpafer.build_model("MPAFER", clip, "anger")


def test_a_clip_with_weights_that_are_not_finite_is_refused(tmp_path: Path) -> None:
    state = random_clip().openai_state_dict()
    state["visual.proj"][0, 0] = torch.inf
    with pytest.raises(DataError, match=r"clip\.pt: visual\.proj holds NaN or infinity"):
        mpafer.load_clip(write(tmp_path, "clip.pt", state))
