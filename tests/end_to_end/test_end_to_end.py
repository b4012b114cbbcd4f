"""The commands of the README, as a user gives them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from support.faces import draw_face_file
from support.miniatures import make_rafdb
from support.runs import REPO, prompts, results

import mpafer
from mpafer.clip import Clip
from mpafer.clip.towers import TextTower, VisionTower

README = (REPO / "README.md").read_text()


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", README, flags=re.M | re.S)


def bash(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    values = os.environ | {"PYTHON": sys.executable} | environment
    return subprocess.run(["bash", "-c", command], cwd=REPO, env=values, capture_output=True, text=True)


def save_clip(path: Path, clip: Clip) -> Path:
    """As OpenAI's files hold one: a plain state dict of float16 tensors."""
    torch.save({name: tensor.half() for name, tensor in clip.openai_state_dict().items()}, path)
    return path


@pytest.mark.parametrize(
    ("width", "dim", "workers"),
    [(64, 32, 2), pytest.param(768, 512, 0, marks=pytest.mark.slow)],
    ids=["narrow", "of the real width"],
)
def test_main_script_runs_rafdb_with_a_vit_b16(width: int, dim: int, workers: int, tmp_path: Path) -> None:
    """The shipped YAML on random weights of ViT-B/16's layout: 12 layers, 196 patches of 224 x 224 pixels."""
    clip = Clip(VisionTower(224, 16, width, 12, dim), TextTower(77, 49408, min(width, 512), 12, dim))
    weights = save_clip(tmp_path / "random-ViT-B-16.pt", clip)
    make_rafdb(tmp_path / "data", train=2, test=1)
    command = (
        f"bash scripts/mpafer/main.sh rafdb vit_b16 -1 MODEL.BACKBONE.NAME {weights} "
        f"OPTIM.MAX_EPOCH 1 DATALOADER.NUM_WORKERS {workers} DATALOADER.TRAIN_X.BATCH_SIZE 7"
    )
    places = {"DATA": str(tmp_path / "data"), "OUT": str(tmp_path / "out")}
    finished = bash(command, SEEDS="1", **places)
    assert finished.returncode == 0, finished.stdout[-2000:] + finished.stderr[-2000:]
    (out,) = (path.parent for path in (tmp_path / "out").rglob("results.json"))
    record = results(out)
    assert record["learnable_values"] == 10 * min(width, 512) + 12 * 8 * width and record["num_images"] == 7
    assert record["config"]["TRAINER"]["MPAFER"]["PREC"] == "fp16" and record["checkpoint_bytes"] < 1_000_000
    assert all(torch.isfinite(tensor).all() for tensor in prompts(out).values())
    assert "12271" in finished.stdout.replace(",", "")  # the counts differ from the published ones: it says so
    again = bash(command, SEEDS="1", **places)
    assert "finished already, skipped" in again.stdout


def test_without_data_the_script_says_what_is_missing(tmp_path: Path) -> None:
    refused = bash("bash scripts/mpafer/main.sh rafdb", DATA=str(tmp_path), OUT=str(tmp_path / "out"))
    assert refused.returncode != 0 and "Traceback" not in refused.stderr
    assert "RAFDB was not found" in refused.stderr and "list_patition_label.txt" in refused.stderr
    assert refused.stdout.count("FAILED after") == 3  # one that fails stops no other


def test_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop without any config: the loss falls, and what it saved answers for a face it has not seen."""
    for number, name in enumerate(("anger", "happiness") * 12):
        draw_face_file(tmp_path / f"faces/{name}/{number}.jpg", name, number)
    draw_face_file(tmp_path / "face.jpg", "happiness", 99)
    block = next(block for block in code_blocks("python") if "build_model" in block)
    assert "for epoch in range(10) " in block
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(block.replace("range(10)", "range(3)"), names)
    assert {"ce_loss", "token_loss", "prompt_loss", "prototype_loss"} == set(names["losses"])
    before = mpafer.build_model(
        "MPAFER", names["clip"], ["anger", "happiness"], prototypes=names["prototypes"], top_k=16
    )
    images, labels = next(iter(names["batches"]))
    loss = [sum(model.losses(model(images), labels).values()).item() for model in (before, names["model"])]
    assert loss[1] < loss[0]
    assert names["answer"].label == "happiness" and list(names["answer"].probabilities) == ["anger", "happiness"]


def test_commands_of_the_readme_name_what_exists() -> None:
    commands = [line for block in code_blocks("bash") for line in block.splitlines()]
    scripts = {word for line in commands for word in line.split() if word.endswith(".sh")}
    assert "scripts/mpafer/main.sh" in scripts
    for script in scripts:
        assert (REPO / script).is_file(), script
    for line in commands:
        if found := re.search(r"main\.sh (\w+)(?: (\w+))?", line):
            dataset, config = found.group(1), found.group(2) or "vit_b16"
            assert (REPO / f"configs/datasets/{dataset}.yaml").is_file(), line
            assert (REPO / f"configs/trainers/MPAFER/{config}.yaml").is_file(), line
    for module in re.findall(r"python -m (\S+?)`? ", README):
        assert find_spec(module) is not None, module
    targets = set(re.findall(r"make (\w+)", "\n".join(commands)))
    assert targets and all(f"\n{target}:" in (REPO / "Makefile").read_text() for target in targets)


def test_options_of_the_readme_are_the_real_ones() -> None:
    from mpafer.trainers.mpafer import MPAFEROptions

    defaults = {key: str(value) for key, value in MPAFEROptions().node().items()}
    section = README.split("\n## Options\n")[1].split("\n## ")[0]
    table = re.findall(r"^\| `([A-Z_]+)`(?:, `([A-Z_]+)`)? \| ([^|]*) \|", section, flags=re.M)
    listed = {name: default.strip().strip('"') for *names, default in table for name in names if name in defaults}
    assert listed.keys() == defaults.keys()
    for name, default in listed.items():
        assert defaults[name] in (default, f"{default}.0"), name
