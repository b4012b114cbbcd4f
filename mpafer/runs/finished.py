"""Whether a finished run is the one that a command line asks for."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

from yacs.config import CfgNode

from mpafer.common.errors import DataError, MissingFileError
from mpafer.common.identity import Differing, differences, made_of_differences
from mpafer.datasets import find_dataset
from mpafer.engine.made_of import of_images, of_texts
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
    cfg = setup_cfg(parse_args(arguments))
    try:
        result = RunResult.read(results)
    except DataError as error:
        return {results.name: (str(error), "a whole one")}
    found = differences(result.config, cfg)
    if result.trainer != cfg.TRAINER.NAME:
        found["TRAINER.NAME"] = (result.trainer, cfg.TRAINER.NAME)
    if result.made_of and not found:
        try:
            found = made_of_differences(result.made_of, _made_of(cfg))
        except MissingFileError as error:
            logger.warning("%s is taken as it is, its data are not there to compare with: %s", results.parent, error)
    return found


def _made_of(cfg: CfgNode) -> dict[str, str]:
    images, classnames = _images(CfgNode({"DATASET": cfg.DATASET | {"NUM_SHOTS": -1}, "TEST": cfg.TEST}).dump())
    return of_texts(cfg, classnames, find_method(cfg.TRAINER.NAME).accepts) | images


@cache
def _images(settings: str) -> tuple[dict[str, str], list[str]]:
    """Of the images that are found with these DATASET and TEST, once for all runs of a plan, and the classes' names."""
    cfg = CfgNode.load_cfg(settings)
    cfg.SEED = 0  # plays no part in what is found
    dataset = find_dataset(cfg.DATASET.NAME)(cfg)
    return of_images(cfg, dataset), dataset.classnames
