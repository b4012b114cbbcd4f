"""A stand-in for Dassl and for a checkout on it, so that what is about both is tested where neither can be had.

The package ``dassl`` written here hands out the built-in engine's parts under Dassl's names. What is real Dassl's own
is tested in test_checkouts.py.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from mpafer.engine import host

FORWARD = """
import importlib
HOMES = {homes}
def __getattr__(name):
    if name not in HOMES:
        raise AttributeError(name)
    return getattr(importlib.import_module("mpafer.engine.builtin." + HOMES[name]), name)
"""

# Dassl's warm-up and its reading of checkpoints as far as the repairs touch them: what is called, and how it fails
SCHEDULES = """
from torch.optim.lr_scheduler import LRScheduler

class _BaseWarmupScheduler(LRScheduler):
    def __init__(self, optimizer, successor, warmup_epoch, last_epoch=-1, verbose=False):
        self.successor, self.warmup_epoch = successor, warmup_epoch
        super().__init__(optimizer, last_epoch, verbose)

    def step(self, epoch=None):
        if self.last_epoch >= self.warmup_epoch:
            self.successor.step()
            self._last_lr = self.successor.get_last_lr()
        else:
            super().step()

class ConstantWarmupScheduler(_BaseWarmupScheduler):
    def __init__(self, optimizer, successor, warmup_epoch, cons_lr, last_epoch=-1, verbose=False):
        self.cons_lr = cons_lr
        super().__init__(optimizer, successor, warmup_epoch, last_epoch, verbose)

    def get_lr(self):
        return self.successor.get_last_lr() if self.last_epoch >= self.warmup_epoch else [self.cons_lr]
"""
TOOLS = """
import torch

def load_checkpoint(fpath):
    return torch.load(fpath, weights_only=True)

def resume(fpath):
    return load_checkpoint(fpath)
"""

RUNNER = """
import argparse
from dassl.config import get_cfg_default
from dassl.engine import build_trainer
from dassl.utils import set_random_seed
import clip, datasets.pets, trainers.theirs
{first_line}

def extend_cfg(cfg):
    from yacs.config import CfgNode
    cfg.TRAINER.COOP = CfgNode()
    cfg.TRAINER.COOP.N_CTX = 16
    {second_line}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("root", "output-dir", "config-file", "dataset-config-file", "trainer", "backbone"):
        parser.add_argument("--" + name, default="")
    parser.add_argument("--seed", type=int, default=-1)
    parser.add_argument("opts", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    cfg = get_cfg_default()
    extend_cfg(cfg)
    for path in (args.dataset_config_file, args.config_file):
        if path:
            cfg.merge_from_file(path)
    cfg.DATASET.ROOT, cfg.OUTPUT_DIR, cfg.TRAINER.NAME, cfg.SEED = args.root, args.output_dir, args.trainer, args.seed
    cfg.MODEL.BACKBONE.NAME = args.backbone
    cfg.merge_from_list(args.opts)
    print("nodes", *cfg.TRAINER)
    print("theirs", clip.MARK, datasets.pets.MARK, trainers.theirs.MARK)
    set_random_seed(cfg.SEED)
    trainer = build_trainer(cfg)
    trainer.train()
"""
THEIRS = """
from dassl.data.datasets import DATASET_REGISTRY
MARK = "checkout"
class RAFDB:
    "A data set of the checkout's own, under a name that is one of ours."
{register}
"""
THEIR_COOP = """
from dassl.engine import TRAINER_REGISTRY
MARK = "checkout"
@TRAINER_REGISTRY.register()
class CoOp:
    def __init__(self, cfg):
        print("this is the checkout's CoOp")
    def train(self): ...
"""


def make_dassl(root: Path) -> Path:
    """The package ``dassl`` in ``root``."""
    modules: dict[str, dict[str, str]] = {}
    for name, (module, home) in host._HOMES.items():
        modules.setdefault(module, {})[name] = home
    for module, homes in modules.items():
        folder = root / module.replace(".", "/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").write_text(FORWARD.format(homes=homes))
    for folder in [root / "dassl", *(path for path in (root / "dassl").rglob("*") if path.is_dir())]:
        (folder / "__init__.py").touch()
    (root / "dassl/__init__.py").write_text('__version__ = "stand-in"\n')
    (root / "dassl/optim/lr_scheduler.py").write_text(SCHEDULES)
    (root / "dassl/utils/torchtools.py").write_text(TOOLS)
    with open(root / "dassl/utils/__init__.py", "a") as file:
        file.write("from dassl.utils.torchtools import load_checkpoint\n")
    return root


def make_checkout(root: Path, *, two_lines: bool = False, own_rafdb: bool = False) -> Path:
    """A runner in CoOp's form beside packages ``clip``, ``datasets`` and ``trainers`` of its own; returns train.py."""
    first, second = ("import mpafer", "mpafer.extend_cfg(cfg)") if two_lines else ("", "")
    register = "DATASET_REGISTRY.register(RAFDB)" if own_rafdb else ""
    files = {
        "train.py": RUNNER.format(first_line=first, second_line=second),
        "datasets/__init__.py": "",
        "datasets/pets.py": THEIRS.format(register=register),
        "trainers/__init__.py": "",
        "trainers/theirs.py": THEIR_COOP,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    copy_clip(root / "clip")
    return root / "train.py"


def copy_clip(folder: Path) -> None:
    """OpenAI's package as a checkout's own, without the import that new setuptools break."""
    spec = find_spec("clip")
    assert spec and spec.submodule_search_locations
    shutil.copytree(spec.submodule_search_locations[0], folder, ignore=shutil.ignore_patterns("__pycache__"))
    code = (folder / "clip.py").read_text()
    (folder / "clip.py").write_text(code.replace("from pkg_resources import packaging", "import packaging.version"))
    (folder / "__init__.py").write_text('from .clip import *\nMARK = "checkout"\n')
