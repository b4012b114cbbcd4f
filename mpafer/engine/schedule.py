"""Learning rates per epoch: Dassl's warm-up and decay rules in closed form.

Dassl nests a torch scheduler in a warm-up scheduler; that breaks on newer torch (``verbose`` is gone) and
puts a Python object into checkpoints. Here the rate is a function of the epoch, so the state is one number
and resuming is exact.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from yacs.config import CfgNode

from mpafer.common.errors import OptionError
from mpafer.common.options import check_choice

logger = logging.getLogger(__name__)
Decay = Callable[[int], float]
SCHEDULES = ("single_step", "multi_step", "cosine")


class EpochScheduler(LRScheduler):
    """Sets every group's rate to ``rate(epoch, base rate of the group)``; step once per epoch."""

    def __init__(self, optimizer: Optimizer, rate: Callable[[int, float], float]) -> None:
        self._rate = rate
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        return [self._rate(self.last_epoch, float(base)) for base in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers only, so that ``torch.load(weights_only=True)`` reads it."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if len(state_dict["base_lrs"]) != len(self.base_lrs):
            raise ValueError(
                f"the saved schedule has {len(state_dict['base_lrs'])} parameter groups, "
                f"the optimiser has {len(self.base_lrs)}"
            )
        self.last_epoch, self.base_lrs = state_dict["last_epoch"], list(state_dict["base_lrs"])
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = lr
        self._last_lr = self.get_lr()


def build_lr_scheduler(optimizer: Optimizer, optim_cfg: CfgNode) -> EpochScheduler:
    """The schedule of an ``OPTIM`` node: single_step, multi_step or cosine, after an optional warm-up.

    During ``WARMUP_EPOCH`` epochs the rate is WARMUP_CONS_LR (constant) or grows from WARMUP_MIN_LR (linear).
    Then the decay starts from its own epoch 0 at the full rate (WARMUP_RECOUNT), or goes on at epoch
    WARMUP_EPOCH; in the second case, as in Dassl, it starts at the full rate too and only its *further* decay
    is applied.

    Raises:
        OptionError: a setting that it does not know; names the key.
    """
    warmup = max(optim_cfg.WARMUP_EPOCH, 0)
    kind, constant, minimum = optim_cfg.WARMUP_TYPE, optim_cfg.WARMUP_CONS_LR, optim_cfg.WARMUP_MIN_LR
    if 0 < optim_cfg.MAX_EPOCH <= warmup:
        logger.warning(
            "OPTIM.WARMUP_EPOCH %s of OPTIM.MAX_EPOCH %s: no epoch trains at OPTIM.LR", warmup, optim_cfg.MAX_EPOCH
        )
    if warmup:
        check_choice("OPTIM.WARMUP_TYPE", kind, ("constant", "linear"))
    start = 0 if optim_cfg.WARMUP_RECOUNT else warmup
    decay = _build_decay(optim_cfg, start)

    def rate(epoch: int, base: float) -> float:
        if epoch >= warmup:
            return base * decay(epoch - warmup + start)
        if kind == "constant":
            return constant
        return minimum if epoch == 0 else base * epoch / warmup

    return EpochScheduler(optimizer, rate)


def _build_decay(optim_cfg: CfgNode, start: int) -> Decay:
    """Epoch of the decay, counted from ``start`` -> factor on the base rate."""
    name, steps, gamma, last = (
        optim_cfg.LR_SCHEDULER,
        optim_cfg.STEPSIZE,
        optim_cfg.GAMMA,
        optim_cfg.MAX_EPOCH,
    )
    check_choice("OPTIM.LR_SCHEDULER", name, SCHEDULES)
    if name == "cosine":

        def height(epoch: int) -> float:
            return 1 + math.cos(math.pi * epoch / last)

        return lambda epoch: 1.0 if epoch == start else height(epoch) / height(start)
    if name == "single_step":
        step = steps[-1] if isinstance(steps, (list, tuple)) else steps
        if not isinstance(step, int):
            raise OptionError(f"OPTIM.STEPSIZE={steps!r}: single_step needs an integer")
        step = step if step > 0 else last
        return lambda epoch: gamma ** (epoch // step - start // step)
    if not isinstance(steps, (list, tuple)):
        raise OptionError(f"OPTIM.STEPSIZE={steps!r}: multi_step needs a list of epochs")
    return lambda epoch: gamma ** sum(m == 0 or start < m <= epoch for m in steps)
