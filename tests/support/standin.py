"""A stand-in for Dassl and for a checkout on it, so that what is about both is tested where neither can be had.

The package ``dassl`` written here has what the guest room asks Dassl for, under Dassl's names. What is real Dassl's own
is tested in test_checkouts.py and test_parity_with_dassl.py.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from torch.optim import Optimizer

from mpafer.clip.tokens import clip_module

THEIRS_ALONE = ("dassl", "clip", "datasets", "trainers")  # top-level packages of a runner's

# Dassl's tree: its keys that we have, those that we refuse and some that we ignore; none of ours
CONFIG = """
from yacs.config import CfgNode
from mpafer.common import defaults

def get_cfg_default():
    config = CfgNode(defaults._DEFAULTS).clone()
    config.VERSION, config.MODEL.HEAD, config.DATALOADER.TRAIN_U = 1, CfgNode(), CfgNode()
    for key, (value, _) in defaults.REFUSED.items():
        *nodes, last = key.split(".")
        node = config
        for name in nodes:
            node = node[name]
        node[last] = value
    return config
"""

REGISTRY = """
class Registry(dict):
    def register(self, obj=None):
        if obj is None:
            return self.register
        if obj.__name__ in self:
            raise KeyError(obj.__name__ + " was already registered")
        self[obj.__name__] = obj
        return obj

    def registered_names(self):
        return list(self)
"""

ENGINE = """
from dassl.registry import Registry
TRAINER_REGISTRY = Registry()
def build_trainer(cfg):
    return TRAINER_REGISTRY[cfg.TRAINER.NAME](cfg)
"""

DATASETS = """
from dassl.registry import Registry
DATASET_REGISTRY = Registry()
def build_dataset(cfg):
    return DATASET_REGISTRY[cfg.DATASET.NAME](cfg)
"""

UTILS = """
from dassl.utils.torchtools import load_checkpoint
from mpafer.common.seeds import set_random_seed
from mpafer.engine.log import setup_logger
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


PACKAGE = {
    "__init__.py": '__version__ = "stand-in"\n',
    "config/__init__.py": CONFIG,
    "registry.py": REGISTRY,
    "engine/__init__.py": ENGINE,
    "data/__init__.py": "",
    "data/datasets/__init__.py": DATASETS,
    "optim/__init__.py": "",
    "optim/lr_scheduler.py": SCHEDULES,
    "utils/__init__.py": UTILS,
    "utils/torchtools.py": TOOLS,
}


def has_dassl() -> bool:
    """Whether real Dassl is installed here. A bare folder of that name, as the one of these tests, is not Dassl."""
    spec = find_spec("dassl")
    return spec is not None and spec.origin is not None


def make_dassl(root: Path) -> Path:
    """The package ``dassl`` in ``root``."""
    write_files(root / "dassl", PACKAGE)
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
    write_files(root, files)
    copy_clip(root / "clip")
    return root / "train.py"


def write_files(folder: Path, files: dict[str, str]) -> None:
    """Write texts by their names under a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def copy_clip(folder: Path) -> None:
    """OpenAI's package as a checkout's own, without the import that new setuptools break."""
    spec = find_spec("clip")
    assert spec and spec.submodule_search_locations
    shutil.copytree(spec.submodule_search_locations[0], folder, ignore=shutil.ignore_patterns("__pycache__"))
    code = (folder / "clip.py").read_text()
    (folder / "clip.py").write_text(code.replace("from pkg_resources import packaging", "import packaging.version"))
    (folder / "__init__.py").write_text('from .clip import *\nMARK = "checkout"\n')


def rates(optim: Optimizer, sched: Any, steps: int) -> list[float]:
    """The rate in each of so many epochs, under Dassl's schedule or one like it."""
    found = []
    for _ in range(steps):
        found.append(optim.param_groups[0]["lr"])
        optim.step()
        sched.step()
    return found


@contextmanager
def foreign_packages(*places: Path) -> Iterator[None]:
    """Inside, ``dassl`` and a checkout's packages are imported anew, from ``places`` first; then all is as before."""

    def drop() -> dict[str, ModuleType]:
        clip_module.cache_clear()
        names = [name for name in sys.modules if name.split(".")[0] in THEIRS_ALONE]
        return {name: sys.modules.pop(name) for name in names}

    kept, path = drop(), list(sys.path)
    sys.path[:0] = map(str, places)
    try:
        yield
    finally:
        drop()
        sys.path[:] = path
        sys.modules.update(kept)
