"""The config of a run: everybody's keys, and those of its own method and data set."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from mpafer.common.config import Values, leaves, merge, read_file, read_pairs
from mpafer.common.defaults import add_keys, default_config
from mpafer.common.extensions import load_extensions
from mpafer.common.options import find
from mpafer.common.ranges import check_ranges
from mpafer.configs import ROOT
from mpafer.datasets import DATASETS, find_dataset
from mpafer.datasets.fer_dataset import FERDataset
from mpafer.trainers import METHODS
from mpafer.trainers.base import PromptTrainer

PATHS = ("OUTPUT_DIR", "RESUME", "DATASET.ROOT", "DATASET.DESCRIPTIONS", "MODEL.BACKBONE.NAME")
COMMAND_LINE = "command line"


def run_config(
    method: str = "",
    dataset: str = "",
    *,
    method_file: str | Path = "",
    flags: Mapping[str, Any] | None = None,
    pairs: Sequence[str] = (),
) -> CfgNode:
    """Defaults, then data set, method, flags and KEY VALUE pairs, each over the one before.

    Args:
        method: its name; "" = TRAINER.NAME of what follows, or none: then no method's options are there.
        dataset: a YAML of configs/datasets by name, or by path, or a class; "" = DATASET.NAME of what follows.
        method_file: YAML of the method.
        flags: dotted key -> value.
        pairs: KEY VALUE words.

    Raises:
        MissingFileError: no such file.
        OptionError: an unknown method, data set or key, an option of another method or data set, a number outside its
            range.
    """
    load_extensions()
    path, method_file = os.path.expanduser(dataset_file(dataset)), os.path.expanduser(method_file)
    layers: list[tuple[str, Values]] = [(name, read_file(name)) for name in (path, str(method_file)) if name]
    if dataset and not path:
        layers.append((COMMAND_LINE, {"DATASET.NAME": dataset}))
    layers.append((COMMAND_LINE, dict(flags or {}) | ({"TRAINER.NAME": method} if method else {})))
    layers.append((COMMAND_LINE, read_pairs(pairs)))
    merged = {key: value for _, values in layers for key, value in values.items()}
    method_class = find_method(str(merged["TRAINER.NAME"])) if merged.get("TRAINER.NAME") else None
    dataset_class = find_dataset(str(merged["DATASET.NAME"])) if merged.get("DATASET.NAME") else None
    config = default_config()
    add_options(config, [method_class] if method_class else [], [dataset_class] if dataset_class else [])
    owners = _foreign_options(method_class, dataset_class)
    for source, values in layers:
        merge(config, source, values, owners)
    expand_paths(config)
    check_ranges(config, learns=method_class is not None and method_class.learns)
    if method_class:
        method_class.options_from(config)
    return config


def add_options(config: CfgNode, methods: Iterable[type[PromptTrainer]], datasets: Iterable[type[FERDataset]]) -> None:
    """Add the nodes of methods and the keys of data sets; keys that are there are left alone."""
    for method in methods:
        add_keys(config.TRAINER, {method.node: CfgNode()})
        add_keys(config.TRAINER[method.node], method.Options().node())  # CoOp and KgCoOp share theirs, as upstream
    for dataset in datasets:
        add_keys(config.DATASET, dataset.Options().node())


def expand_paths(config: CfgNode) -> None:
    """A ``~`` at the start of a path is the user's folder, also where no shell has looked at it."""
    for key, value in leaves(config):
        if key in PATHS and value.startswith("~"):
            config.merge_from_list([key, os.path.expanduser(value)])


def find_method(name: str) -> type[PromptTrainer]:
    """A method by its name.

    Raises:
        OptionError: there is none of this name; the closest one is named.
    """
    return find("method", name, methods())


def methods() -> dict[str, type[PromptTrainer]]:
    """All methods, those of other packages and files too, by name."""
    load_extensions()
    return METHODS


def datasets() -> dict[str, type[FERDataset]]:
    """All data sets, those of other packages and files too, by the names of their classes."""
    load_extensions()
    return DATASETS


def dataset_file(name: str) -> str:
    """The YAML of a data set named as in configs/datasets, by its class, or by a path; "" = there is none."""
    if name.endswith((".yaml", ".yml")):
        return name
    for path in sorted((ROOT / "datasets").glob("*.yaml")):
        if name in (path.stem, read_file(path)["DATASET.NAME"]):
            return str(path)
    return ""


def _foreign_options(method: type[PromptTrainer] | None, dataset: type[FERDataset] | None) -> dict[str, str]:
    """Options of other methods and data sets -> whose they are, in words."""
    owners: dict[str, str] = {}
    for name, other in METHODS.items():
        if method is None or other.node != method.node:
            run = f"this run's method is {method.__name__}" if method else "no method is named"
            owners.setdefault(f"TRAINER.{other.node}", f"an option of {name}, and {run}")
        else:
            for key in other.Options().node():
                owners.setdefault(
                    f"TRAINER.{other.node}.{key}", f"an option of {name}, {method.__name__} has none such"
                )
    run = f"this run's data set is {dataset.__name__}" if dataset else "no data set is named"
    for name, data in DATASETS.items():
        for key in data.Options().node():
            owners.setdefault(f"DATASET.{key}", f"an option of {name}, and {run}")
    return owners
