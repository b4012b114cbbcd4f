"""The data set as its loader finds it, with everything the loader would stop at noted instead."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

import mpafer
import mpafer.configs
from mpafer.config import dataset_file, merge_file, merge_list
from mpafer.datasets.files import Item, collect_problems
from mpafer.engine.host import DATASET_REGISTRY, get_cfg_default
from mpafer.errors import user_message
from mpafer.options import closest


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


def configure(name: str, root: str, opts: Sequence[str]) -> CfgNode:
    """The config of a data set that is named as a YAML of configs/datasets (or a path), or as a class.

    Raises:
        ValueError: no such data set or key.
    """
    cfg = get_cfg_default()
    mpafer.extend_cfg(cfg, baselines=True)
    mpafer.register()
    classes = DATASET_REGISTRY.registered_names()
    if path := dataset_file(name):
        merge_file(cfg, path)
    elif name in classes:
        cfg.DATASET.NAME = name
    else:
        shipped = (path.stem for path in Path(*mpafer.configs.__path__, "datasets").glob("*.yaml"))
        raise ValueError(f"no data set {name!r}: {closest(name, [*shipped, *classes])}")
    if root:
        cfg.DATASET.ROOT = root
    merge_list(cfg, opts)
    return cfg


def load(cfg: CfgNode) -> Subject:
    """Run the loader of DATASET.NAME under DATASET.ROOT.

    Raises:
        ValueError: no data set of this name.
    """
    kind: Any = DATASET_REGISTRY.get(cfg.DATASET.NAME)
    dataset = kind.__new__(kind)  # what __init__ finds before it stops is wanted too
    failure = ""
    with collect_problems() as problems, _warnings() as said, contextlib.redirect_stdout(io.StringIO()):
        try:
            dataset.__init__(cfg)
        except Exception as error:
            failure = user_message(error) or repr(error)
            if user_message(error) is None and not hasattr(dataset, "splits"):
                raise  # a fault of ours, not of the data
    return Subject(
        cfg.DATASET.NAME,
        str(getattr(dataset, "dataset_dir", "") or cfg.DATASET.ROOT),
        list(getattr(dataset, "classes", None) or getattr(dataset, "_classnames", [])),
        getattr(dataset, "published", {}),
        getattr(dataset, "splits", None) or _chosen(dataset),
        problems,
        said,
        failure,
    )


def _chosen(dataset: Any) -> dict[str, list[Item]]:
    """The splits of a data set with another base class than ours."""
    splits = {"train": "_train_x", "val": "_val", "test": "_test"}
    return {
        split: [Item(datum.impath, datum.label) for datum in data]
        for split, attribute in splits.items()
        if (data := getattr(dataset, attribute, None))
    }


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collects what our loggers warn of; differing counts are the doctor's own finding."""
    said: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.funcName != "compare_counts":
                said.append(record.getMessage())

    logger, handler = logging.getLogger("mpafer"), Collector(logging.WARNING)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
