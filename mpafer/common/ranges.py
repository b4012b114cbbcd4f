"""What each number of the config may be; checked before data and CLIP are loaded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from yacs.config import CfgNode

from mpafer.common.errors import OptionError

LARGEST = 2**31 - 1  # whole number that every library takes
MAX_SEED = 2**32 - 1  # NumPy takes no larger one
MAX_WORKERS = 1024


@dataclass(frozen=True)
class Range:
    """What a number may be, or each of a list's ``count`` numbers (0 = however many; None = no list).

    No number may be infinite or NaN.
    """

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    refused: tuple[Any, ...] = ()
    whole: bool = False
    odd: bool = False
    count: int | None = None
    rising: bool = False  # a list whose first number is not above its last
    note: str = ""  # what a number of a meaning of its own means

    def check(self, name: str, value: Any) -> None:
        """Raises OptionError, which says what ``name`` may be, where it is not that."""
        if wrong := self._wrong_list(value) if self.count is not None else self._wrong_number(value):
            raise OptionError(f"{name} is {value}; {wrong}{self.note and f' ({self.note})'}")

    def _wrong_list(self, values: Any) -> str:
        if not isinstance(values, (list, tuple)) or (self.count and len(values) != self.count):
            return f"it must be a list of {self.count or ''} numbers".replace("  ", " ")
        for value in values:
            if wrong := self._wrong_number(value):
                return f"of each number, {wrong}"
        return "the first must not be above the last" if self.rising and values[0] > values[-1] else ""

    def _wrong_number(self, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return "it must be a number"
        if isinstance(value, float) and not math.isfinite(value):
            return "it must be a finite number"
        most = LARGEST if self.most is None and isinstance(value, int) else self.most
        tests = [
            (not self.whole or isinstance(value, int), "a whole number"),
            (self.least is None or value >= self.least, f"at least {self.least}"),
            (self.above is None or value > self.above, f"above {self.above}"),
            (most is None or value <= most, f"at most {most}"),
            (self.below is None or value < self.below, f"below {self.below}"),
            (not self.odd or value % 2 == 1, "odd"),
        ]
        if value in self.refused:
            return f"it cannot be {value}"
        return next((f"it must be {words}" for holds, words in tests if not holds), "")


ANY, COUNT, POSITIVE, NOT_NEGATIVE = Range(), Range(least=1), Range(above=0), Range(least=0)
SHARE = Range(least=0, most=1)
DECAY = Range(least=0, below=1)
COLOURS = Range(count=3)
SPAN = Range(above=0, count=2, rising=True)

# Every number of `mpafer.common.defaults`; those of methods and data sets stand with their options.
RANGES: dict[str, Range] = {
    "SEED": Range(most=MAX_SEED, note="negative = drawn"),
    "INPUT.SIZE": Range(least=1, whole=True, count=2),
    "INPUT.PIXEL_MEAN": COLOURS,
    "INPUT.PIXEL_STD": replace(COLOURS, above=0),
    "INPUT.CROP_PADDING": NOT_NEGATIVE,
    "INPUT.RRCROP_SCALE": replace(SPAN, most=1),
    "INPUT.CUTOUT_N": NOT_NEGATIVE,
    "INPUT.CUTOUT_LEN": COUNT,
    "INPUT.GN_MEAN": ANY,
    "INPUT.GN_STD": NOT_NEGATIVE,
    "INPUT.RANDAUGMENT_N": NOT_NEGATIVE,
    "INPUT.RANDAUGMENT_M": Range(least=0, most=30),
    "INPUT.COLORJITTER_B": NOT_NEGATIVE,
    "INPUT.COLORJITTER_C": NOT_NEGATIVE,
    "INPUT.COLORJITTER_S": NOT_NEGATIVE,
    "INPUT.COLORJITTER_H": Range(least=0, most=0.5),
    "INPUT.RGS_P": SHARE,
    "INPUT.GB_P": SHARE,
    "INPUT.GB_K": Range(least=1, odd=True),
    "INPUT.RE_P": SHARE,
    "INPUT.RE_SCALE": replace(SPAN, most=1),
    "INPUT.RE_RATIO": SPAN,
    "DATASET.NUM_SHOTS": Range(least=-1, refused=(0,), note="-1 = every image"),
    "DATASET.VAL_FRACTION": Range(above=0, below=1),
    "DATALOADER.NUM_WORKERS": Range(least=0, most=MAX_WORKERS),
    "DATALOADER.TRAIN_X.BATCH_SIZE": COUNT,
    "DATALOADER.TEST.BATCH_SIZE": COUNT,
    "DATALOADER.FAST_GB": NOT_NEGATIVE,
    "OPTIM.LR": POSITIVE,
    "OPTIM.WEIGHT_DECAY": NOT_NEGATIVE,
    "OPTIM.MOMENTUM": DECAY,
    "OPTIM.SGD_DAMPNING": NOT_NEGATIVE,
    "OPTIM.RMSPROP_ALPHA": DECAY,
    "OPTIM.ADAM_BETA1": DECAY,
    "OPTIM.ADAM_BETA2": DECAY,
    "OPTIM.BASE_LR_MULT": NOT_NEGATIVE,
    "OPTIM.STEPSIZE": Range(count=0),
    "OPTIM.GAMMA": NOT_NEGATIVE,
    "OPTIM.MAX_EPOCH": NOT_NEGATIVE,  # above 0 where a method learns
    "OPTIM.WARMUP_EPOCH": ANY,  # below 1: none
    "OPTIM.WARMUP_CONS_LR": NOT_NEGATIVE,
    "OPTIM.WARMUP_MIN_LR": NOT_NEGATIVE,
    "TRAIN.CHECKPOINT_FREQ": ANY,  # below 1: only the last
    "TRAIN.PRINT_FREQ": COUNT,
}


def check_ranges(config: CfgNode, *, learns: bool = True) -> None:
    """Check every number of a config that belongs to no method and no data set.

    Args:
        config: the tree; a key that it lacks is not looked at.
        learns: whether the run trains anything.

    Raises:
        OptionError: a number outside its range, or two that do not go together; names the keys and what they may be.
    """
    for key, allowed in RANGES.items():
        if (value := _value(config, key.split("."))) is not None:
            allowed.check(key, value)
    if learns:
        _check_schedule(config.OPTIM)


def _value(config: CfgNode, path: Sequence[str]) -> Any:
    for name in path:
        if name not in config:
            return None
        config = config[name]
    return config


def _check_schedule(node: CfgNode) -> None:
    epochs, warmup = node.MAX_EPOCH, node.WARMUP_EPOCH
    if epochs < 1:
        raise OptionError(f"OPTIM.MAX_EPOCH is {epochs}; a method that learns needs at least 1")
    if warmup > epochs:
        raise OptionError(
            f"OPTIM.WARMUP_EPOCH is {warmup}, but OPTIM.MAX_EPOCH {epochs}: no epoch would be left at OPTIM.LR; "
            "warm up for fewer epochs, or not at all (-1)"
        )
    if node.NAME == "sgd" and node.SGD_NESTEROV and (node.MOMENTUM == 0 or node.SGD_DAMPNING):
        raise OptionError(
            f"OPTIM.SGD_NESTEROV needs OPTIM.MOMENTUM above 0, which is {node.MOMENTUM}, and OPTIM.SGD_DAMPNING 0, "
            f"which is {node.SGD_DAMPNING}"
        )
