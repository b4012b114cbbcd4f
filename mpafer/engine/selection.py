"""What a model may be chosen on, and where it is tested."""

from __future__ import annotations

from yacs.config import CfgNode

from mpafer.common.errors import OptionError
from mpafer.common.options import check_choice

CHOICES = {"FINAL_MODEL": ("last_step", "best_val"), "SPLIT": ("test", "val")}  # of cfg.TEST


def check_selection(cfg: CfgNode, *, has_val: bool) -> None:
    """A choice is made on validation images or not at all: there is no falling back to the test split.

    Args:
        cfg: TEST and DATASET.NAME are read.
        has_val: whether the data set has validation images.

    Raises:
        OptionError: there are none where they are asked for, or a value that TEST.FINAL_MODEL or SPLIT cannot have.
    """
    asked = cfg.TEST
    for key, choices in CHOICES.items():
        check_choice(f"TEST.{key}", asked[key], choices)
    if not has_val and (asked.FINAL_MODEL == "best_val" or asked.SPLIT == "val"):
        raise OptionError(
            f"TEST.FINAL_MODEL={asked.FINAL_MODEL}, TEST.SPLIT={asked.SPLIT}: {cfg.DATASET.NAME} has no "
            "validation split, and nothing is chosen on test images; cut one from training or use last_step and test"
        )
