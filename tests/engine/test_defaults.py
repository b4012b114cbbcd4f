"""The keys that belong to no method and no data set: Dassl's with their defaults, and what became of the others."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from support.runs import whole_config
from yacs.config import CfgNode

from mpafer.common.config import leaves, merge
from mpafer.common.defaults import IGNORED, OURS, REFUSED, default_config

# Dassl's get_cfg_default() at commit c61a1b5, and the digest of the tree that it gave
DIGEST = "fdbd79be831c9b4d8e5f012624320c58dcf9ec53706372cedca1f33d5dc16747"
_LOADER = {"SAMPLER": "RandomSampler", "BATCH_SIZE": 32, "N_DOMAIN": 0, "N_INS": 16}
_PSEUDO_LABELS = {"WEIGHT_U": 0.5, "CONF_THRE": 0.95, "STRONG_TRANSFORMS": ()}

DASSL: dict[str, Any] = {
    "VERSION": 1,
    "OUTPUT_DIR": "./output",
    "RESUME": "",
    "SEED": -1,
    "USE_CUDA": True,
    "VERBOSE": True,
    "INPUT": {
        "SIZE": (224, 224),
        "INTERPOLATION": "bilinear",
        "TRANSFORMS": (),
        "NO_TRANSFORM": False,
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
        "SOURCE_DOMAINS": (),
        "TARGET_DOMAINS": (),
        "NUM_LABELED": -1,
        "NUM_SHOTS": -1,
        "VAL_PERCENT": 0.1,
        "STL10_FOLD": -1,
        "CIFAR_C_TYPE": "",
        "CIFAR_C_LEVEL": 1,
        "ALL_AS_UNLABELED": False,
    },
    "DATALOADER": {
        "NUM_WORKERS": 4,
        "K_TRANSFORMS": 1,
        "RETURN_IMG0": False,
        "TRAIN_X": _LOADER,
        "TRAIN_U": {"SAME_AS_X": True, **_LOADER},
        "TEST": {"SAMPLER": "SequentialSampler", "BATCH_SIZE": 32},
    },
    "MODEL": {
        "INIT_WEIGHTS": "",
        "BACKBONE": {"NAME": "", "PRETRAINED": True},
        "HEAD": {"NAME": "", "HIDDEN_LAYERS": (), "ACTIVATION": "relu", "BN": True, "DROPOUT": 0.0},
    },
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
        "STEPSIZE": (-1,),
        "GAMMA": 0.1,
        "MAX_EPOCH": 10,
        "WARMUP_EPOCH": -1,
        "WARMUP_TYPE": "linear",
        "WARMUP_CONS_LR": 1e-5,
        "WARMUP_MIN_LR": 1e-5,
        "WARMUP_RECOUNT": True,
    },
    "TRAIN": {"CHECKPOINT_FREQ": 0, "PRINT_FREQ": 10, "COUNT_ITER": "train_x"},
    "TEST": {
        "EVALUATOR": "Classification",
        "PER_CLASS_RESULT": False,
        "COMPUTE_CMAT": False,
        "NO_TEST": False,
        "SPLIT": "test",
        "FINAL_MODEL": "last_step",
    },
    "TRAINER": {
        "NAME": "",
        # domain adaptation
        "MCD": {"N_STEP_F": 4},
        "MME": {"LMDA": 0.1},
        "CDAC": {
            "CLASS_LR_MULTI": 10,
            "RAMPUP_COEF": 30,
            "RAMPUP_ITRS": 1000,
            "TOPK_MATCH": 5,
            "P_THRESH": 0.95,
            "STRONG_TRANSFORMS": (),
        },
        "SE": {"EMA_ALPHA": 0.999, "CONF_THRE": 0.95, "RAMPUP": 300},
        "M3SDA": {"LMDA": 0.5, "N_STEP_F": 4},
        "DAEL": _PSEUDO_LABELS,
        # domain generalisation
        "CROSSGRAD": {"EPS_F": 1.0, "EPS_D": 1.0, "ALPHA_F": 0.5, "ALPHA_D": 0.5},
        "DDAIG": {
            "G_ARCH": "",
            "LMDA": 0.3,
            "CLAMP": False,
            "CLAMP_MIN": -1.0,
            "CLAMP_MAX": 1.0,
            "WARMUP": 0,
            "ALPHA": 0.5,
        },
        "DAELDG": _PSEUDO_LABELS,
        "DOMAINMIX": {"TYPE": "crossdomain", "ALPHA": 1.0, "BETA": 1.0},
        # semi-supervised learning
        "ENTMIN": {"LMDA": 1e-3},
        "MEANTEACHER": {"WEIGHT_U": 1.0, "EMA_ALPHA": 0.999, "RAMPUP": 5},
        "MIXMATCH": {"WEIGHT_U": 100.0, "TEMP": 2.0, "MIXUP_BETA": 0.75, "RAMPUP": 20000},
        "FIXMATCH": {**_PSEUDO_LABELS, "WEIGHT_U": 1.0},
    },
}


DASSL_KEYS = dict(leaves(CfgNode(DASSL)))
METHODS = sorted(set(DASSL["TRAINER"]) - {"NAME"})  # domain adaptation and semi-supervised learning: none is here
HELD = ("tree", "refused")  # where a key has a value


def fate(key: str) -> str:
    """Where a key of Dassl's is: in our tree, ignored, refused, or an option of one of Dassl's methods."""
    places = {
        "tree": key in dict(leaves(default_config())),
        "ignored": any(key == name or key.startswith(f"{name}.") for name in IGNORED),
        "refused": key in REFUSED,
        "method": key.startswith(tuple(f"TRAINER.{name}." for name in METHODS)),
    }
    (place,) = [name for name, there in places.items() if there]
    return place


def test_the_list_is_dassls() -> None:
    assert hashlib.sha256(json.dumps(CfgNode(DASSL), sort_keys=True).encode()).hexdigest() == DIGEST


def test_every_key_of_dassls_has_one_place_and_its_default() -> None:
    ours = dict(leaves(default_config()))
    kept = {key: ours[key] if fate(key) == "tree" else REFUSED[key][0] for key in DASSL_KEYS if fate(key) in HELD}
    assert kept == {key: default for key, default in DASSL_KEYS.items() if key in kept}
    assert len(kept) > 60


def test_what_is_in_the_tree_is_dassls_or_ours() -> None:
    ours = set(dict(leaves(CfgNode(OURS))))
    assert {key for key in DASSL_KEYS if fate(key) == "tree"} | ours == set(dict(leaves(default_config())))
    assert not ours & set(DASSL_KEYS)


def test_what_is_passed_over_or_refused_is_dassls() -> None:
    """No entry that has come into the tree, or that Dassl never had."""
    nodes = {key.rsplit(".", depth)[0] for key in DASSL_KEYS for depth in range(3)} | set(DASSL_KEYS)
    assert set(IGNORED) <= nodes and set(REFUSED) <= set(DASSL_KEYS)
    assert {fate(key) for key in REFUSED} == {"refused"}


@pytest.mark.parametrize("key", REFUSED)
def test_a_key_that_would_change_a_result_keeps_dassls_default(key: str) -> None:
    default, why = REFUSED[key]
    other = {str: "other", bool: not default, int: 7, float: 0.5, tuple: ("a",)}[type(default)]
    config = default_config()
    before = config.dump()
    merge(config, "mine.yaml", {key: default})
    assert config.dump() == before
    with pytest.raises(ValueError) as refused:
        merge(config, "mine.yaml", {key: other})
    assert str(refused.value) == f"mine.yaml: {key} cannot be {other!r} here, only {default!r}: {why}"


def test_a_list_of_yaml_is_the_tuple_that_is_meant() -> None:
    merge(default_config(), "mine.yaml", {"DATASET.SOURCE_DOMAINS": []})
    with pytest.raises(ValueError, match="no domains"):
        merge(default_config(), "mine.yaml", {"DATASET.SOURCE_DOMAINS": ["photo"]})


def test_what_changes_nothing_is_passed_over() -> None:
    config = default_config()
    before = config.dump()
    for key in (key for key in DASSL_KEYS if fate(key) == "ignored"):
        merge(config, "mine.yaml", {key: "another value"})
    assert config.dump() == before


@pytest.mark.parametrize("method", METHODS)
def test_options_of_dassls_methods_are_refused(method: str) -> None:
    key = next(iter(DASSL["TRAINER"][method]))
    with pytest.raises(ValueError, match=rf"^mine\.yaml: no config key TRAINER\.{method}\.{key}"):
        merge(default_config(), "mine.yaml", {f"TRAINER.{method}.{key}": DASSL["TRAINER"][method][key]})


def test_every_default_tree_is_its_own() -> None:
    default_config().INPUT.PIXEL_MEAN[0] = 7
    assert default_config().INPUT.PIXEL_MEAN[0] == 0.485


def test_methods_and_data_sets_add_to_the_tree_and_change_nothing_in_it() -> None:
    whole = dict(leaves(whole_config()))
    assert {key: whole[key] for key in dict(leaves(default_config()))} == dict(leaves(default_config()))
    added = set(whole) - set(dict(leaves(default_config())))
    assert {"TRAINER.MPAFER.TAU", "DATASET.FOLD", "DATASET.LABEL_RULE"} <= added
    assert {key.split(".")[0] for key in added} == {"TRAINER", "DATASET"}
