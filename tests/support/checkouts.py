"""Runs of real CoOp, MaPLe and PromptSRC checkouts, and of our own runner beside them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from mpafer.clip import Clip
from mpafer.clip.towers import TextTower, VisionTower
from support.commands import run_command
from support.miniatures import make_rafdb, make_sketchfer
from support.miniatures_fer import make_affectnet_csv, make_ckplus, make_ferplus

REPO = Path(__file__).parent.parent.parent
DATASETS = {"rafdb": {}, "affectnet7": {}, "ferplus": {}, "ckplus": {"DATASET.FOLD": 1}, "sketchfer": {}}
OWN = {  # checkout -> its method, the precision it can run in, its YAML
    "coop": ("CoOp", "fp32", "CoOp/vit_b16.yaml"),
    "maple": ("MaPLe", "fp16", "MaPLe/vit_b16_c2_ep5_batch4_2ctx.yaml"),
    "promptsrc": ("PromptSRC", "fp16", "PromptSRC/vit_b16_c2_ep20_batch4_4+4ctx.yaml"),
}
TWO_LINES = ("import mpafer", "    mpafer.extend_cfg(cfg)")
# PromptSRC's code asks for a GPU by name; on a machine without one, asking is made to mean nothing
WITHOUT_GPU = """
import runpy, sys, torch
if not torch.cuda.is_available():
    torch.Tensor.cuda = torch.nn.Module.cuda = lambda self, *args, **kwargs: self
sys.argv = sys.argv[1:]
sys.path[0] = "."
runpy.run_{how}(sys.argv[0], run_name="__main__")
"""


def make_data(root: Path) -> Path:
    """Miniatures of five data sets, and ``wide.pt``: random weights of the widths that MaPLe's code is written for."""
    make_rafdb(root, train=8, test=4)
    make_affectnet_csv(root)
    make_ferplus(root)
    make_ckplus(
        root, sequences=[(f"S00{subject}", f"00{i}", i, (1, 2, 3)) for subject in range(4) for i in range(1, 8)]
    )
    make_sketchfer(root)
    torch.manual_seed(0)
    clip = Clip(VisionTower(96, 16, 768, 3, 512), TextTower(77, 49408, 512, 3, 512))
    torch.save(clip.openai_state_dict(), root / "wide.pt")
    return root


def copy_checkout(source: Path, target: Path) -> Path:
    """A copy of a checkout, whose train.py lies beside one with our two lines, train_fer.py."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(".git", "__pycache__"))
    lines = (target / "train.py").read_text().splitlines()
    lines.insert(lines.index("def setup_cfg(args):"), TWO_LINES[1])  # the end of extend_cfg
    lines.insert(lines.index("def print_args(args, cfg):"), TWO_LINES[0])  # after all imports
    (target / "train_fer.py").write_text("\n".join(lines) + "\n")
    return target


def guest_configs() -> Path:
    """The folder of YAML files that a runner on Dassl can read, as the launcher tells it."""
    return Path(run_command("mpafer.plug", "--configs").strip())


def words(data: Path, out: Path, trainer: str, dataset: str, *flags: str, **options: Any) -> list[str]:
    """Arguments of a runner; ``flags`` go before the KEY VALUE pairs."""
    pairs = {
        "DATALOADER.NUM_WORKERS": 0,
        "DATALOADER.TRAIN_X.BATCH_SIZE": 4,
        "DATASET.NUM_SHOTS": 2,
        "TRAIN.PRINT_FREQ": 1,
        "TRAIN.CHECKPOINT_FREQ": 1,
        "OPTIM.MAX_EPOCH": 2,
        "INPUT.SIZE": "(96,96)",
        **DATASETS.get(dataset, {}),
        **options,
    }
    yaml = (guest_configs() / "datasets" if dataset in DATASETS else Path("configs/datasets")) / f"{dataset}.yaml"
    return [
        "--root", str(data), "--seed", "1", "--trainer", trainer, "--dataset-config-file", str(yaml),
        "--output-dir", str(out), *flags, *(str(word) for pair in pairs.items() for word in pair),
    ]  # fmt: skip


def run(checkout: Path, *arguments: str, plug: bool = False) -> str:
    """Run ``train_fer.py``, or with ``plug`` a runner as it is through mpafer.plug; returns what it printed."""
    environment = os.environ | {
        "MPAFER_CACHE": str(checkout.parent / "cache"), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore",
    }  # fmt: skip
    how, what = ("module", "mpafer.plug") if plug else ("path", "train_fer.py")
    code = WITHOUT_GPU.replace("{how}", how)
    command = [sys.executable, "-c", code, what, *arguments]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def forget_last_epoch(out: Path, last: int = 2) -> None:
    """Leave the folder of a run of ``last`` epochs as if it had been killed one epoch earlier."""
    for file in out.glob(f"*/model.pth.tar-{last}"):
        file.unlink()
        (file.parent / "checkpoint").write_text(f"model.pth.tar-{last - 1}\n")
    for file in (out / "results.json", out / "scores.npz", out / "log.txt"):
        file.unlink(missing_ok=True)


def steps(log: str) -> list[str]:
    """The training lines of a log without their times."""
    times = r"(time|data) \S+ \(\S+\) | eta \S+"
    return [re.sub(times, "", line) for line in log.splitlines() if line.startswith("epoch [")]


def accuracy(log: str) -> float:
    return float(re.findall(r"^\* accuracy: ([\d.]+)%", log, re.MULTILINE)[-1])


def own_runner(*arguments: str) -> str:
    """Run our own train.py, reading images as checkouts do; returns what it printed."""
    return run_command(str(REPO / "train.py"), *arguments, "DATALOADER.FAST", "False")
