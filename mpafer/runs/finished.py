"""Whether a finished run is the one that a command line asks for."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

from yacs.config import CfgNode

from mpafer.common.errors import MissingFileError
from mpafer.common.identity import Differing, differences, made_of_differences
from mpafer.datasets import find_dataset
from mpafer.engine.made_of import texts_and_images
from mpafer.results.schema import RunResult
from mpafer.run_config import find_method
from mpafer.runs.train import parse_args, setup_cfg

logger = logging.getLogger(__name__)


def differing(results: Path, arguments: tuple[str, ...]) -> Differing:
    """What differs between a finished run and what train.py would run with these arguments; {} without one.

    Of images and texts what is there now counts; where the data are not there, only the options are compared, and a
    warning says so.
    """
    return _differing(results, results.stat().st_mtime_ns, arguments) if results.is_file() else {}


@cache
def _differing(results: Path, changed: int, arguments: tuple[str, ...]) -> Differing:
    result, cfg = RunResult.read(results), setup_cfg(parse_args(arguments))
    found = differences(result.config, cfg)
    if result.trainer != cfg.TRAINER.NAME:
        found["TRAINER.NAME"] = (result.trainer, cfg.TRAINER.NAME)
    if result.made_of and not found:
        try:
            found = made_of_differences(result.made_of, _made_of(_data_settings(cfg), cfg.TRAINER.NAME))
        except MissingFileError as error:
            logger.warning("%s is taken as it is, its data are not there to compare with: %s", results.parent, error)
    return found


def _data_settings(cfg: CfgNode) -> str:
    """What the images that are found hang on: not the seed, nor a draw of them."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.SEED, cfg.DATASET.NUM_SHOTS, cfg.OUTPUT_DIR = 0, -1, ""
    return str(cfg.dump())


@cache
def _made_of(settings: str, method: str) -> dict[str, str]:
    cfg = CfgNode.load_cfg(settings)
    dataset = find_dataset(cfg.DATASET.NAME)(cfg)
    return texts_and_images(cfg, dataset, dataset.classnames, find_method(method).accepts)
