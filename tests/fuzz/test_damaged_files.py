"""Damaged files of every kind that is read: the outcome is a right result, or one message of ours; never a traceback.

200 damages in the usual tests, 2,100 with -m slow. A cache's damage may change no number.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.damage import damaged
from support.miniatures import make_rafdb
from support.miniatures_fer import make_ckplus, make_fer2013, make_ferplus
from support.runs import environment, make_trainer, make_world, train_in_process

from mpafer.common.errors import user_message

SLOW, QUICK = 2100, 200


@dataclass(frozen=True)
class Target:
    """A file that is damaged, and what reads it.

    ``right``: what has to come out in spite of the damage, where the file is a cache; None: any result, or a message.
    """

    file: Path
    use: Callable[[], Any]
    right: Any = None


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = make_world(tmp_path_factory.mktemp("fuzz"), train=2)
    with pytest.MonkeyPatch.context() as patch:
        for key, value in environment(place).items():
            patch.setenv(key, value)
        train_in_process(place, place / "run/seed1", **{"OPTIM.MAX_EPOCH": 1})
        yield place


def dataset(name: str, root: Path, **options: str) -> Callable[[], int]:
    """The number of images that the loader finds."""

    def use() -> int:
        from mpafer.datasets import find_dataset
        from mpafer.run_config import run_config

        pairs = [word for pair in options.items() for word in pair]
        cfg = run_config(dataset=name, flags={"DATASET.ROOT": str(root), "SEED": 1}, pairs=pairs)
        found = find_dataset(cfg.DATASET.NAME)(cfg)
        return len(found.train_x) + len(found.test)

    return use


def image_targets(folder: Path) -> dict[str, Target]:
    from mpafer.inputs.reading import read_image

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 24, 3), dtype=np.uint8))
    found = {}
    for ending in ("jpg", "png", "gif", "webp", "bmp", "tif"):
        file = folder / f"picture.{ending}"
        picture.save(file)
        found[f"image {ending}"] = Target(file, lambda file=file: np.asarray(read_image(str(file))).shape)
    return found


def data_targets(folder: Path) -> dict[str, Target]:
    make_rafdb(folder)
    make_fer2013(folder)
    make_ferplus(folder)
    make_ckplus(folder)
    lists = {
        "rafdb": "list_patition_label.txt", "fer2013": "*.csv", "ferplus": "*new*.csv", "ckplus": "*emotion.txt",
    }  # fmt: skip
    found = {}
    for name, pattern in lists.items():
        if files := sorted(folder.rglob(pattern)):
            found[f"list of {name}"] = Target(files[0], dataset(name, folder))
    return found


def run_targets(world: Path) -> dict[str, Target]:
    """What a finished run and its start consist of."""
    from mpafer.clip import load_clip
    from mpafer.common.config import read_file
    from mpafer.inference.predictor import Predictor
    from mpafer.prompting.descriptions import DESCRIPTIONS, load_descriptions
    from mpafer.results.plans import PLANS, note_plan, read_plans
    from mpafer.results.summary import summarise

    run, image = world / "run/seed1", str(next((world / "data").rglob("test_*.jpg")))
    texts, config = world / "texts.yaml", world / "config.yaml"
    shutil.copy(DESCRIPTIONS, texts)
    shutil.copy(Path(__file__).parent.parent.parent / "configs/trainers/MPAFER/vit_b16.yaml", config)
    config.write_text(config.read_text().replace("_BASE_", "# _BASE_"))
    note_plan("k", "plan", {"k = 1": world / "run"})
    (checkpoint,) = (run / "prompts").glob("model.pth.tar-*")

    def predict() -> Any:
        return 0 <= Predictor(str(run), faces="none", device="cpu")(image).confidence <= 1

    def trained() -> Any:
        make = make_trainer(world, world / "resumed", "CoOp", **{"OPTIM.MAX_EPOCH": 1})
        return make.train()

    trained()
    (resumed,) = (world / "resumed/prompts").glob("model.pth.tar-*")
    return {
        "results.json": Target(run / "results.json", lambda: len(summarise([run]))),
        "checkpoint": Target(checkpoint, predict),
        "checkpoint to resume": Target(resumed, trained),
        "pointer to the checkpoint": Target(run / "prompts/checkpoint", predict),
        "weights": Target(world / "clip.safetensors", lambda: load_clip(str(world / "clip.safetensors")).fingerprint),
        "descriptions": Target(texts, lambda: len(load_descriptions(texts))),
        "config": Target(config, lambda: len(read_file(config))),
        "plans.json": Target(world / "run" / PLANS, lambda: len(read_plans(world / "run"))),
    }


def cache_targets(world: Path) -> dict[str, Target]:
    """Every file that a run leaves in a cache; with whatever damage, the next run has the same scores."""

    def scores() -> bytes:
        shutil.rmtree(world / "again", ignore_errors=True)
        make_trainer(world, world / "again", "MPAFER", **{"OPTIM.MAX_EPOCH": 1}).train()
        return np.load(world / "again/scores.npz")["scores"].tobytes()

    right = scores()
    files = [path for place in ("cache", "data") for path in (world / place).rglob("*") if path.is_file()]
    made = [
        path for path in files if path.suffix in (".u8", ".safetensors", ".json", ".lst") and "RAF" not in path.name
    ]
    return {f"cache {path.parent.name}/{path.suffix}": Target(path, scores, right) for path in made}


@pytest.fixture(scope="module")
def targets(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    found = image_targets(tmp_path_factory.mktemp("images")) | data_targets(tmp_path_factory.mktemp("lists"))
    return found | run_targets(world) | cache_targets(world)


def outcome(target: Target) -> str:
    """right, or refused by a message; all else is what must not be."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            found = target.use()
    except Exception as error:
        message = user_message(error)
        if message is None:
            return f"raised {type(error).__name__}: {str(error)[:200]}"
        if "weights_only" in message:
            return f"unsafe advice: {message[:200]}"
        return "refused" if target.right is None else f"a cache's damage stopped the run: {message[:200]}"
    return "right" if target.right is None or found == target.right else "another number"


def campaign(targets: dict[str, Target], seeds: range) -> tuple[Counter[str], list[str]]:
    """Outcomes by kind, and what must not be. Each seed damages one target, in turns; then the file is as it was."""
    counts, wrong = Counter[str](), list[str]()
    names = sorted(targets)
    logging.disable(logging.CRITICAL)
    try:
        for seed in seeds:
            name = names[seed % len(names)]
            target = targets[name]
            whole, stat = target.file.read_bytes(), target.file.stat()
            target.file.write_bytes(damaged(whole, seed))
            if seed % 2:  # as `cp -p` or unzip leave it
                os.utime(target.file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            found = outcome(target)
            target.file.write_bytes(whole)
            counts[found if found in ("right", "refused") else "wrong"] += 1
            if found not in ("right", "refused"):
                wrong.append(f"seed {seed}, {name}: {found}")
    finally:
        logging.disable(logging.NOTSET)
    return counts, wrong


@pytest.mark.parametrize(
    "seeds", [range(QUICK), pytest.param(range(QUICK, QUICK + SLOW), marks=pytest.mark.slow)], ids=["quick", "slow"]
)
def test_damage_gives_a_right_result_or_a_message(targets: dict[str, Target], seeds: range) -> None:
    counts, wrong = campaign(targets, seeds)
    print(f"{len(seeds)} damaged files of {len(targets)} kinds: {dict(counts)}")
    assert not wrong, "\n".join(wrong)
    assert counts["right"] and counts["refused"] and counts.total() == len(seeds)


def test_what_must_not_be_is_found(tmp_path: Path) -> None:
    """The controls: a reader with a traceback, one that believes all, a cache that changes a number."""
    file = tmp_path / "number"
    file.write_text("12345")
    readers: dict[str, Target] = {
        "traceback": Target(file, lambda: int(file.read_bytes())),
        "cache": Target(file, lambda: file.read_bytes(), b"12345"),
    }
    for name, target in readers.items():
        _, wrong = campaign({name: target}, range(20))
        assert wrong, name
    assert file.read_text() == "12345", "and every file is whole again"
