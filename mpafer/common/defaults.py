"""The keys of a run that belong to no method and no data set: Dassl's (its commit c61a1b5), and ours.

Dassl's keep their names and defaults, so that a YAML written for CoOp or MaPLe loads unchanged. Those that only domain
adaptation and other networks need are not there: IGNORED says which are passed over, as they change nothing here, and
REFUSED which have to keep the value that they have when nobody sets them.
"""

from __future__ import annotations

from typing import Any

from yacs.config import CfgNode

_DEFAULTS: dict[str, Any] = {
    "OUTPUT_DIR": "./output",
    "RESUME": "",  # folder of an earlier run to go on from; OUTPUT_DIR's own checkpoints are found without it
    "SEED": -1,  # negative: not fixed
    "USE_CUDA": True,
    "VERBOSE": True,
    "INPUT": {
        "SIZE": (224, 224),  # height, width
        "INTERPOLATION": "bilinear",
        "TRANSFORMS": (),  # names of inputs/transforms.py
        "PIXEL_MEAN": [0.485, 0.456, 0.406],
        "PIXEL_STD": [0.229, 0.224, 0.225],
        "CROP_PADDING": 4,
        "RRCROP_SCALE": (0.08, 1.0),
        "CUTOUT_N": 1,
        "CUTOUT_LEN": 16,
        "GN_MEAN": 0.0,
        "GN_STD": 0.15,
        "RANDAUGMENT_N": 2,
        "RANDAUGMENT_M": 10,
        "COLORJITTER_B": 0.4,
        "COLORJITTER_C": 0.4,
        "COLORJITTER_S": 0.4,
        "COLORJITTER_H": 0.1,
        "RGS_P": 0.2,
        "GB_P": 0.5,
        "GB_K": 21,
    },
    "DATASET": {
        "ROOT": "",
        "NAME": "",
        "NUM_SHOTS": -1,  # images per class; -1: all
    },
    "DATALOADER": {
        "NUM_WORKERS": 4,
        "TRAIN_X": {"SAMPLER": "RandomSampler", "BATCH_SIZE": 32},
        "TEST": {"SAMPLER": "SequentialSampler", "BATCH_SIZE": 32},
    },
    "MODEL": {"BACKBONE": {"NAME": ""}},
    "OPTIM": {
        "NAME": "adam",
        "LR": 0.0003,
        "WEIGHT_DECAY": 5e-4,
        "MOMENTUM": 0.9,
        "SGD_DAMPNING": 0,
        "SGD_NESTEROV": False,
        "RMSPROP_ALPHA": 0.99,
        "ADAM_BETA1": 0.9,
        "ADAM_BETA2": 0.999,
        "STAGED_LR": False,
        "NEW_LAYERS": (),
        "BASE_LR_MULT": 0.1,
        "LR_SCHEDULER": "single_step",
        "STEPSIZE": (-1,),  # single_step takes the last one; below 1: MAX_EPOCH
        "GAMMA": 0.1,
        "MAX_EPOCH": 10,
        "WARMUP_EPOCH": -1,
        "WARMUP_TYPE": "linear",
        "WARMUP_CONS_LR": 1e-5,
        "WARMUP_MIN_LR": 1e-5,
        "WARMUP_RECOUNT": True,
    },
    "TRAIN": {"CHECKPOINT_FREQ": 0, "PRINT_FREQ": 10},
    "TEST": {
        "PER_CLASS_RESULT": False,
        "COMPUTE_CMAT": False,
        "NO_TEST": False,
        "SPLIT": "test",
        "FINAL_MODEL": "last_step",  # or best_val, which needs a validation split
    },
    "TRAINER": {"NAME": ""},
}

# What we add to Dassl's, in the same nodes.
OURS: dict[str, dict[str, Any]] = {
    "DATASET": {
        "SUBSAMPLE_CLASSES": "all",  # all, base, new (as CoOp), or names with commas
        "VAL_FRACTION": 0.1,  # cut from training, stratified by seed, when a choice needs a validation set
        "DESCRIPTIONS": "",  # YAML or JSON, class name -> text; "" = the table of the paper's supplement
    },
    "DATALOADER": {"FAST": True, "FAST_GB": 8.0},  # decoded images are kept, so many gigabytes a folder; see fast.py
    "INPUT": {"RE_P": 0.5, "RE_SCALE": (0.02, 0.25), "RE_RATIO": (0.3, 3.3)},  # transform "random_erasing"
    "MODEL": {"BACKBONE": {"ACTIVATION": ""}},  # quickgelu, gelu; "" = found out or guessed, and kept by the run
    "TRAIN": {
        "CLASS_WEIGHTS": "none",  # of the cross-entropy, in every method: none, or balanced = N / (C n_c)
        "COMPILE": False,  # torch.compile the towers' blocks, where there is a compiler
        "CHECKPOINTING": False,  # compute activations again in the backward: less memory, a third more time
    },
    "TEST": {"CROSS_CLASSES": "keep"},  # on another data set: what becomes of classes that it lacks
}

# Dassl's keys, or nodes, that change nothing here.
IGNORED = (
    "VERSION", "MODEL.HEAD", "MODEL.BACKBONE.PRETRAINED", "DATALOADER.TRAIN_U", "DATALOADER.TRAIN_X.N_INS",
    "DATASET.STL10_FOLD", "DATASET.CIFAR_C_TYPE", "DATASET.CIFAR_C_LEVEL",
)  # fmt: skip
# Dassl's keys that would change a result: the only value they may have, and why.
REFUSED: dict[str, tuple[Any, str]] = {
    "DATASET.SOURCE_DOMAINS": ((), "the data sets here have no domains"),
    "DATASET.TARGET_DOMAINS": ((), "the data sets here have no domains"),
    "DATASET.NUM_LABELED": (-1, "there are no unlabelled images here; DATASET.NUM_SHOTS takes fewer images"),
    "DATASET.ALL_AS_UNLABELED": (False, "there are no unlabelled images here"),
    "DATASET.VAL_PERCENT": (0.1, "take DATASET.VAL_FRACTION"),
    "DATALOADER.K_TRANSFORMS": (1, "an image is transformed once a step"),
    "DATALOADER.RETURN_IMG0": (False, "batches hold no image without augmentation"),
    "DATALOADER.TRAIN_X.N_DOMAIN": (0, "the data sets here have no domains"),
    "INPUT.NO_TRANSFORM": (False, "images have to become tensors"),
    "MODEL.INIT_WEIGHTS": ("", "take MODEL.BACKBONE.NAME for other weights, RESUME to go on from a run"),
    "TRAIN.COUNT_ITER": ("train_x", "an epoch is every training image once"),
    "TEST.EVALUATOR": ("Classification", "there is one evaluation"),
}


def default_config() -> CfgNode:
    """A fresh, unfrozen tree of all keys that belong to no method and no data set."""
    config = CfgNode(_DEFAULTS).clone()
    add_ours(config)
    return config


def add_ours(config: CfgNode) -> None:
    """Add our keys to a tree like Dassl's; keys that are there are left alone."""
    for node, values in OURS.items():
        add_keys(config[node], values)


def add_keys(node: CfgNode, values: dict[str, Any]) -> None:
    """Add keys to a node, and to the nodes in it; those that are there are left alone."""
    for key, value in values.items():
        if key not in node:
            node[key] = CfgNode(value) if isinstance(value, dict) else value
        elif isinstance(value, dict) and isinstance(node[key], dict):
            add_keys(node[key], value)
