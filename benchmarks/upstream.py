"""Upstream's own code, MaPLe's trainer and Dassl, from checkouts the user gives: never imported without them.

Its packages are called ``clip``, ``trainers`` and ``datasets``; they are in sys.modules only while they are asked for.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

MAPLE, DASSL = "maple/trainers/maple.py", "dassl/dassl/engine"  # what tells their checkouts
_THEIRS = ("clip", "trainers", "datasets", "train", "dassl", "wilds", "pandas")


def missing(upstream: Path | None, *needed: str) -> str:
    """Why upstream, of which these files are needed, cannot be run, in a line; "" where it can."""
    if upstream is None:
        return "no --upstream DIR (a folder with the checkouts maple and dassl)"
    absent = [name for name in needed if not (upstream / name).exists()]
    return f"{upstream} has no {', '.join(absent)}" if absent else ""


def maple_step(upstream: Path, state: dict[str, Tensor], classes: list[str], batch: dict[str, Tensor]) -> Callable:
    """One ``forward_backward`` of upstream's unmodified MaPLe in float32 (ctx 2, depth 9: its vit_b16 config).

    Args:
        upstream: folder with the checkouts ``maple`` and ``dassl``.
        state: OpenAI-named weights of a ViT-B.
        classes: class names.
        batch: ``img`` [B, 3, H, H] and ``label`` [B].
    """
    side = batch["img"].shape[-1]
    quiet = contextlib.redirect_stdout(io.StringIO())
    with checkouts(upstream), tempfile.TemporaryDirectory() as folder, _float32(), quiet:
        from clip import clip
        from dassl.config import get_cfg_default
        from dassl.engine import TRAINER_REGISTRY

        import train

        weights = Path(folder) / "weights.pt"
        torch.save(state, weights)
        clip._MODELS["random"], clip._download = str(weights), lambda url: url
        cfg = get_cfg_default()
        train.extend_cfg(cfg)
        cfg.merge_from_file(str(upstream / "maple/configs/trainers/MaPLe/vit_b16_c2_ep5_batch4_2ctx.yaml"))
        cfg.INPUT.SIZE, cfg.MODEL.BACKBONE.NAME = (side, side), "random"
        cfg.TRAINER.NAME, cfg.TRAINER.MAPLE.PREC = "MaPLe", "fp32"
        cls = TRAINER_REGISTRY.get("MaPLe")
        cls.build_data_loader = lambda self: vars(self).update(
            dm=types.SimpleNamespace(dataset=types.SimpleNamespace(classnames=classes)),
            num_classes=len(classes),
            lab2cname=dict(enumerate(classes)),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it takes for a JIT archive is a plain state dict
            trainer = cls(cfg)
    trainer.set_model_mode("train")
    trainer.batch_idx, trainer.num_batches = 0, 2  # never an epoch's last batch

    def step() -> None:
        with _float32():
            trainer.forward_backward(batch)

    return step


@contextlib.contextmanager
def checkouts(upstream: Path) -> Iterator[None]:
    """Their names in sys.modules and sys.path; ours are back afterwards."""
    ours = {name: module for name, module in sys.modules.items() if name.split(".")[0] in _THEIRS}
    path = list(sys.path)
    for name in ours:
        del sys.modules[name]
    for name, members in (("wilds", {"get_dataset": None}), ("pandas", {})):  # Dassl imports them, nothing is used
        module = types.ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        vars(module).update(members)
        sys.modules[name] = module
    sys.path[:0] = [str(upstream / "maple"), str(upstream / "dassl")]
    scheduler: Any = torch.optim.lr_scheduler._LRScheduler
    init = scheduler.__init__

    def accept(self: Any, optimizer: Any, last_epoch: int = -1, verbose: bool = False) -> None:
        init(self, optimizer, last_epoch)  # current torch has no ``verbose``

    scheduler.__init__ = accept
    try:
        yield
    finally:
        scheduler.__init__, sys.path[:] = init, path
        for name in [name for name in sys.modules if name.split(".")[0] in _THEIRS]:
            del sys.modules[name]
        sys.modules.update(ours)


@contextlib.contextmanager
def _float32() -> Iterator[None]:
    """``half`` does nothing: upstream rounds some tensors to float16 even under PREC fp32, and then fails."""
    owners: tuple[Any, ...] = (Tensor, nn.Module)
    real = [owner.half for owner in owners]
    for owner in owners:
        owner.half = lambda self, *args, **kwargs: self
    try:
        yield
    finally:
        for owner, half in zip(owners, real, strict=True):
            owner.half = half
