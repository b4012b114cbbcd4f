"""Whole runs: what one costs beside its images, compare.sh with JOBS, and torchrun with two ranks. Only an idle machine
tells the truth.

The images are class folders of noise: what is timed does not depend on what they show.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import FACES, SIZES, Row, Settings, openai_model, soft_noise

from mpafer.engine.checkpoint import checkpoint_path, load_checkpoint

REPO = Path(__file__).resolve().parent.parent
SHOTS = 16
SGD_STEPS = {"toy": 4}  # by size; of torchrun's row
EPOCHS = {"toy": 2}


def compare(settings: Settings) -> list[Row]:
    """Wall time of compare.sh, start and table included: as many runs as cores at once, against one after the other."""
    jobs, epochs = os.cpu_count() or 1, EPOCHS.get(settings.size, 60)
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder) / "noise", side=96, per_class=SHOTS)
        seconds = [_compare_seconds(Path(folder), many, 2 * jobs, epochs) for many in (1, jobs)]
    what = f"{2 * jobs} runs of MPA-FER, tiny CLIP, {epochs} epochs, one thread each"
    return [Row(f"compare.sh, JOBS={jobs} / JOBS=1", "s", seconds[1], seconds[0], [seconds[0] / seconds[1]],
                least=0.9 * jobs, compares=True, note=what)]  # fmt: skip


def _compare_seconds(root: Path, jobs: int, runs: int, epochs: int) -> float:
    command = ["bash", str(REPO / "scripts/compare.sh"), "ferfolder", str(SHOTS), "DATASET.FOLDER", "noise"]
    command += ["OPTIM.MAX_EPOCH", str(epochs)]
    environment = {
        "METHODS": "MPAFER",
        "CFG": "tiny",
        "JOBS": str(jobs),
        "SEEDS": " ".join(str(seed) for seed in range(1, runs + 1)),
        "DATA": str(root),
        "OUT": str(root / f"jobs{jobs}"),
        "MPAFER_CACHE": str(root / f"cache{jobs}"),
        "OMP_NUM_THREADS": "1",
        "PYTHON": sys.executable,
    }
    return _seconds(command, environment)


def overhead(settings: Settings) -> list[Row]:
    """What a run costs beside its images: one of seven training and 14 test images, as one more of a command's runs.

    Theirs is the same run as a process of its own, `python train.py`.
    """
    more = 5
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_images(root / "noise", side=96, per_class=1)
        own = [sys.executable, str(REPO / "train.py"), "--root", folder, "--trainer", "CoOp", "--seed", "1"]
        own += ["--dataset-config-file", "ferfolder", "--config-file", str(REPO / "configs/trainers/CoOp/tiny.yaml")]
        seconds, alone = list[float](), list[float]()
        for turn in range(settings.repeats + 1):  # the first fills the caches
            one, many = (_run_seconds(root / f"{turn}_{runs}", root, runs) for runs in (1, 1 + more))
            output = ["--output-dir", str(root / f"alone{turn}"), "DATASET.FOLDER", "noise", "OPTIM.MAX_EPOCH", "1"]
            single = _seconds([*own, *output], _quiet(root))
            if turn:
                seconds.append((many - one) / more)
                alone.append(single)
    ratios = [b / a for a, b in zip(seconds, alone, strict=True)]
    what = f"CoOp, tiny CLIP, one epoch of one batch, a thread; {more} more runs of `mpafer run`"
    return [
        Row("a run's overhead", "s", statistics.median(seconds), statistics.median(alone), most=1.5, note=what),
        Row("python train.py / one more run", "", None, None, ratios, least=3, compares=True, note=what),
    ]


def _run_seconds(out: Path, root: Path, runs: int) -> float:
    seeds = " ".join(map(str, range(1, runs + 1)))
    command = [sys.executable, "-m", "mpafer", "run", "CoOp", "ferfolder", "tiny", "--seeds", seeds]
    command += ["--data", str(root), "--out", str(out), "-1", "DATASET.FOLDER", "noise", "OPTIM.MAX_EPOCH", "1"]
    return _seconds(command, _quiet(root))


def _quiet(root: Path) -> dict[str, str]:
    return {"OMP_NUM_THREADS": "1", "MPAFER_CACHE": str(root / "cache")}


def torchrun(settings: Settings) -> list[Row]:
    """The trainer's own training seconds, so without start and evaluation, of two ranks and of one, a thread each."""
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "random.pt"
        torch.save(openai_model(settings.size).state_dict(), weights)
        steps = SGD_STEPS.get(settings.size, 6)
        per_class = -(-steps * 32 // len(FACES))
        write_images(Path(folder) / "noise", side=100, per_class=per_class)
        one, two = (_train_seconds(Path(folder), weights, settings.size, ranks) for ranks in (1, 2))
    what = f"{settings.size}, bf16, {per_class * len(FACES) // 32} steps of batch 32, which the ranks share"
    return [Row("torchrun, 2 ranks / 1 rank", "s", two, one, [one / two], least=1.8, compares=True, note=what)]


def _train_seconds(root: Path, weights: Path, size: str, ranks: int) -> float:
    side, output = SIZES[size][0], root / f"ranks{ranks}"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    command += [str(REPO / "train.py"), "--root", str(root), "--seed", "1", "--trainer", "MPAFER"]
    command += ["--dataset-config-file", str(REPO / "configs/datasets/ferfolder.yaml"), "--output-dir", str(output)]
    command += ["--config-file", str(REPO / "configs/trainers/MPAFER/vit_b16.yaml"), "--backbone", str(weights)]
    options = {
        "DATASET.FOLDER": "noise",
        "INPUT.SIZE": f"({side},{side})",
        "OPTIM.MAX_EPOCH": "1",
        "TRAINER.MPAFER.PREC": "bf16",
        "DATALOADER.NUM_WORKERS": "0",
        "TEST.NO_TEST": "True",
        "USE_CUDA": "False",
    }
    command += [word for pair in options.items() for word in pair]
    _seconds(command, {"OMP_NUM_THREADS": "1", "MPAFER_CACHE": str(root / f"cache{ranks}")})
    return load_checkpoint(checkpoint_path(output / "prompts", 1))["extra"]["train_seconds"]


def _seconds(command: list[str], environment: dict[str, str]) -> float:
    """Wall time of a command that has to succeed."""
    start = time.perf_counter()
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - start


def write_images(folder: Path, side: int, per_class: int) -> None:
    """``folder``/{train,test}/<class>/*.jpg: so many training images of each class, two to test on."""
    rng = np.random.default_rng(0)
    for split, count in (("train", per_class), ("test", 2)):
        for name in FACES:
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                soft_noise(rng, side).save(place / f"{number}.jpg")
