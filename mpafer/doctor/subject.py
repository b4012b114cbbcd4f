"""The data set as its loader finds it, with everything the loader would stop at noted instead."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from yacs.config import CfgNode

from mpafer.common.config import dataset_title
from mpafer.common.errors import OptionError, user_message
from mpafer.common.options import closest
from mpafer.configs import shipped
from mpafer.datasets import find_dataset
from mpafer.datasets.items import Item, Problems
from mpafer.datasets.walking import Skipped
from mpafer.run_config import dataset_file, datasets, run_config


@dataclass(frozen=True)
class Subject:
    """What is looked over."""

    name: str
    folder: str
    classes: Sequence[str]  # in label order
    published: Mapping[str, Sequence[int] | int]  # split -> images per class, or only their total, where known
    splits: Mapping[str, Sequence[Item]]
    problems: Sequence[Exception] = ()  # what the loader went on after
    warnings: Sequence[str] = ()  # what it logged
    failure: str = ""  # what it stopped at all the same
    skipped: Skipped = field(default_factory=Skipped)  # what it did not use


def configure(name: str, root: str, opts: Sequence[str]) -> CfgNode:
    """The config of a data set that is named as a YAML of configs/datasets (or a path), or as a class.

    Raises:
        OptionError: no such data set or key.
    """
    if not dataset_file(name) and name not in datasets():
        raise OptionError(f"no data set {name!r}: {closest(name, [*shipped('datasets'), *datasets()])}")
    return run_config(dataset=name, flags={"DATASET.ROOT": root} if root else {}, pairs=opts)


def load(cfg: CfgNode) -> Subject:
    """Run the loader of DATASET.NAME under DATASET.ROOT.

    Raises:
        OptionError: no data set of this name.
    """
    dataset_class = find_dataset(cfg.DATASET.NAME)
    dataset = dataset_class.__new__(dataset_class)  # what __init__ finds before it stops is wanted too
    failure, problems = "", Problems(collecting=True)
    with _collected_warnings() as warnings, contextlib.redirect_stdout(io.StringIO()):
        try:
            dataset_class.__init__(dataset, cfg, problems)
        except Exception as error:
            failure = user_message(error) or repr(error)
            if user_message(error) is None and not hasattr(dataset, "splits"):
                raise  # a fault of ours, not of the data
    return Subject(
        dataset_title(cfg),
        str(dataset.dataset_dir or cfg.DATASET.ROOT),
        dataset.shown(dataset.classes),
        dataset.published,
        getattr(dataset, "splits", {}),
        problems.found,
        warnings,
        failure,
        problems.skipped,
    )


@contextlib.contextmanager
def _collected_warnings() -> Iterator[list[str]]:
    """Collects what our loggers warn of, but what the doctor finds itself."""
    warnings: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.funcName not in ("compare_counts", "tell_skipped"):
                warnings.append(record.getMessage())

    logger, handler = logging.getLogger("mpafer"), Collector(logging.WARNING)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield warnings
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
