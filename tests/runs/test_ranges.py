"""Every number of the config has a range, which is checked before data and CLIP are loaded."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from support.runs import make_trainer, make_world, train_in_process

from mpafer.common.config import leaves
from mpafer.common.defaults import default_config
from mpafer.common.errors import OptionError
from mpafer.common.ranges import MAX_SEED, RANGES, Range, check_ranges
from mpafer.run_config import run_config
from mpafer.trainers import METHODS


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


def is_number(value: object) -> bool:
    values = value if isinstance(value, (list, tuple)) else [value]
    return bool(values) and all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in values)


def test_every_number_of_the_defaults_has_a_range_that_holds_it() -> None:
    config = default_config()
    assert {key for key, value in leaves(config) if is_number(value)} == RANGES.keys()
    check_ranges(config)
    for method in METHODS.values():
        method.Options()


@pytest.mark.parametrize("key", RANGES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), "3", True, 10**400])
def test_no_number_may_be_infinite_or_none_at_all(key: str, value: Any) -> None:
    config = default_config()
    node, _, name = key.rpartition(".")
    owner = config
    for part in node.split(".") if node else ():
        owner = owner[part]
    owner[name] = [value] * len(owner[name]) if isinstance(owner[name], (list, tuple)) else value
    with pytest.raises(OptionError, match=rf"^{key} is .*; (of each number, )?it must be (a |at most |below )"):
        check_ranges(config)


REFUSED = [
    ("DATALOADER.TRAIN_X.BATCH_SIZE", "0", "is 0; it must be at least 1"),
    ("DATALOADER.TRAIN_X.BATCH_SIZE", "-4", "is -4; it must be at least 1"),
    ("DATALOADER.TEST.BATCH_SIZE", "0", "is 0; it must be at least 1"),
    ("TRAIN.PRINT_FREQ", "0", "is 0; it must be at least 1"),
    ("INPUT.SIZE", "(32,32,32)", r"is \(32, 32, 32\); it must be a list of 2 numbers"),
    ("INPUT.SIZE", "(0,32)", r"is \(0, 32\); of each number, it must be at least 1"),
    ("INPUT.SIZE", "(32.5,32)", r"is \(32\.5, 32\); of each number, it must be a whole number"),
    ("INPUT.PIXEL_STD", "[0.2,0,0.2]", r"is \[0\.2, 0, 0\.2\]; of each number, it must be above 0"),
    ("INPUT.PIXEL_MEAN", "[0.5,0.5]", r"is \[0\.5, 0\.5\]; it must be a list of 3 numbers"),
    ("INPUT.RRCROP_SCALE", "(0.9,0.1)", r"is \(0\.9, 0\.1\); the first must not be above the last"),
    ("INPUT.RRCROP_SCALE", "(2,3)", r"is \(2, 3\); of each number, it must be at most 1"),
    ("INPUT.GB_K", "4", "is 4; it must be odd"),
    ("OPTIM.LR", "0", "is 0.0; it must be above 0"),
    ("OPTIM.LR", "-0.1", "is -0.1; it must be above 0"),
    ("OPTIM.LR", "1e999", "is inf; it must be a finite number"),
    ("OPTIM.MAX_EPOCH", "0", "is 0; a method that learns needs at least 1"),
    (
        "OPTIM.WARMUP_EPOCH",
        "50",
        "is 50, but OPTIM.MAX_EPOCH 16: no epoch would be left at OPTIM.LR; warm up for fewer",
    ),
    ("OPTIM.MOMENTUM", "-1.0", "is -1.0; it must be at least 0"),
    ("OPTIM.SGD_NESTEROV", "True", "needs OPTIM.MOMENTUM above 0, which is 0.9, and OPTIM.SGD_DAMPNING 0, which is 1"),
    ("DATALOADER.NUM_WORKERS", "-1", "is -1; it must be at least 0"),
    ("DATALOADER.NUM_WORKERS", "100000", "is 100000; it must be at most 1024"),
    ("SEED", "8589934593", rf"is 8589934593; it must be at most {MAX_SEED} \(negative = drawn\)$"),
    ("DATASET.VAL_FRACTION", "1", "is 1.0; it must be below 1"),
    ("DATASET.NUM_SHOTS", "0", r"is 0; it cannot be 0 \(-1 = every image\)$"),
    ("DATASET.NUM_SHOTS", "-7", "is -7; it must be at least -1"),
]


@pytest.mark.parametrize(("key", "value", "message"), REFUSED)
def test_a_number_outside_its_range_is_refused_with_what_it_may_be(key: str, value: str, message: str) -> None:
    more = ["OPTIM.SGD_DAMPNING", "1"] if "NESTEROV" in key else []
    with pytest.raises(OptionError, match=f"^{key} {message}"):
        run_config("CoOp", pairs=[key, value, "OPTIM.NAME", "sgd", "OPTIM.MAX_EPOCH", "16", *more, key, value])


def test_a_decimal_too_large_for_a_computer() -> None:
    with pytest.raises(OptionError, match=r"^command line: int too large to convert to float$"):
        run_config("CoOp", pairs=["OPTIM.LR", "1" + "0" * 400])


@pytest.mark.parametrize(
    ("method", "key", "value", "most"),
    [
        ("MPAFER", "N_VISUAL", 2_000_000, 1024),
        ("MPAFER", "N_CTX", 2000, 74),
        ("VPT", "N_CTX_VISION", 2_000_000, 1024),
        ("MaPLe", "N_CTX", 2000, 74),
    ],
)
def test_prompts_are_not_more_than_memory_or_texts_hold(method: str, key: str, value: int, most: int) -> None:
    with pytest.raises(OptionError, match=f"^{key} is {value}; it must be at most {most}$"):
        run_config(method, pairs=[f"TRAINER.{METHODS[method].node}.{key}", str(value)])


def test_options_of_methods_are_finite() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(OptionError, match=f"^TAU is {value}; it must be a finite number$"):
            METHODS["MPAFER"].Options(tau=value)


def test_a_method_that_learns_nothing_needs_no_epochs() -> None:
    assert run_config("ZeroshotCLIP", pairs=["OPTIM.MAX_EPOCH", "0"]).OPTIM.MAX_EPOCH == 0


def test_a_run_refuses_before_it_looks_for_data_or_weights(tmp_path: Path) -> None:
    options = {"DATASET.ROOT": "nowhere", "MODEL.BACKBONE.NAME": "nothing", "TRAIN.PRINT_FREQ": 0}
    with pytest.raises(SystemExit, match=r"^error: TRAIN\.PRINT_FREQ is 0; it must be at least 1$"):
        train_in_process(tmp_path, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_config_made_in_python_is_checked_too(world: Path, tmp_path: Path, cfg: Any) -> None:
    cfg.OPTIM.LR = 0
    with pytest.raises(OptionError, match=r"^OPTIM\.LR is 0; it must be above 0$"):
        METHODS["MPAFER"](cfg)


def test_a_warm_up_as_long_as_the_training_is_said(
    world: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_trainer(world, tmp_path / "one", "MPAFER", **{"OPTIM.MAX_EPOCH": 1})
    (line,) = [record.message for record in caplog.records if "WARMUP" in record.message]
    assert line == "OPTIM.WARMUP_EPOCH 1 of OPTIM.MAX_EPOCH 1: no epoch trains at OPTIM.LR"
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        make_trainer(world, tmp_path / "two", "MPAFER", **{"OPTIM.MAX_EPOCH": 2})
    assert not [record for record in caplog.records if "WARMUP" in record.message]


def test_a_range_in_words() -> None:
    Range(least=1, odd=True).check("A", 3)
    with pytest.raises(OptionError, match=r"^A is \(\); it must be a list of 2 numbers$"):
        Range(count=2).check("A", ())
    with pytest.raises(OptionError, match=r"^A is 3; it must be a list of numbers$"):
        Range(count=0).check("A", 3)
