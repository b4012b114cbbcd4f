"""Whether two runs are the same but for the seed: the one answer for skipping, resuming, averaging and comparing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yacs.config import CfgNode

from mpafer.common.config import as_yaml_has_it, leaves

Differing = dict[str, tuple[Any, Any]]  # what -> the values there and here

# What makes no other run: places, processes and what is shown.
FREE = ("OUTPUT_DIR", "RESUME", "DATASET.ROOT", "DATASET.TITLE", "DATALOADER.NUM_WORKERS", "DATALOADER.FAST_GB",
        "MODEL.BACKBONE.NAME", "USE_CUDA", "VERBOSE", "TRAIN.PRINT_FREQ", "TRAIN.COMPILE", "TRAIN.CHECKPOINTING",
        "TRAIN.CHECKPOINT_FREQ", "TEST.PER_CLASS_RESULT", "TEST.COMPUTE_CMAT", "TEST.CROSS_CLASSES")  # fmt: skip
LEARNED = "learned"  # entry of `made_of` where weights were loaded to be evaluated: seeds differ in it
GUESSED = ("MODEL.BACKBONE.ACTIVATION",)  # "" until the weights are read
ANSWERS = ("TRAINER.", "INPUT.SIZE", "INPUT.INTERPOLATION", "INPUT.PIXEL_")  # what a trained run's answers hang on
LATER = {  # options younger than the first runs whose results are read -> what runs before them did
    "TRAINER.IVLP.PROMPT_FIRST_VISION": 1,
    "TRAINER.MPAFER.PROTOTYPE_SUM": False,
    "TRAINER.MPAFER.VISUAL_FIRST": 1,
    "TRAINER.PROMPTSRC.PROMPT_FIRST_VISION": 1,
    "TRAINER.VPT.PROMPT_FIRST_VISION": 1,
}
MADE_OF = {  # entries of `made_of` -> what they are; contents say all that names, sizes and labels do
    "backbone": "CLIP's weights",
    "texts": "description texts",
    "train": "training images and labels",
    "val": "validation images and labels",
    "test": "test images and labels",
}

NOT_READ = "not known, so many images were not all read: names, sizes and labels tell"  # where contents would stand


def differences(
    theirs: Mapping[str, Any], ours: Mapping[str, Any], node: str = "", free: tuple[str, ...] = ()
) -> Differing:
    """Keys of two config trees whose values make them runs of different kinds.

    Args:
        theirs: a config tree.
        ours: another. An older run has fewer keys: one that it lacks counts as LATER says, or else is not compared.
        node: a method's; other methods' options do not count: older runs stored them all.
        free: more keys that do not count.
    """
    a, b = ({key: as_yaml_has_it(value) for key, value in leaves(CfgNode(dict(tree)))} for tree in (theirs, ours))
    a, b = ({key: LATER[key] for key in LATER if key in a.keys() | b.keys()} | tree for tree in (a, b))
    return {
        key: (a[key], b[key])
        for key in sorted(a.keys() & b.keys())
        if a[key] != b[key] and key not in (*FREE, *free) and not _of_another(key, node) and not _unknown(key, a, b)
    }


def other_answers(theirs: Mapping[str, Any], ours: Mapping[str, Any], node: str) -> Differing:
    """Of `differences` those with which a trained run would answer otherwise."""
    found = differences(theirs, ours, node, free=(f"TRAINER.{node}.PREC",))
    return {key: values for key, values in found.items() if key.startswith(ANSWERS)}


def made_of_differences(theirs: Mapping[str, str], ours: Mapping[str, str]) -> Differing:
    """What differs of weights, texts and images; what one of them does not know is not compared."""
    found: Differing = {}
    for key, words in MADE_OF.items():
        contents = [made_of.get(f"{key}_contents", NOT_READ) for made_of in (theirs, ours)]
        a, b = (theirs.get(key), ours.get(key)) if NOT_READ in contents else contents
        if a is not None and b is not None and a != b:
            found[words] = (a, b)
    return found


def listed(differing: Differing) -> str:
    """``OPTIM.LR 0.1 there, 0.2 here; ...``."""
    return "; ".join(f"{key} {theirs!r} there, {ours!r} here" for key, (theirs, ours) in differing.items())


def _of_another(key: str, node: str) -> bool:
    return bool(node) and key.count(".") > 1 and key.startswith("TRAINER.") and not key.startswith(f"TRAINER.{node}.")


def _unknown(key: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return key in GUESSED and "" in (a[key], b[key])
