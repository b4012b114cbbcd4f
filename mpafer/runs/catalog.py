"""What a run can be asked for by name: data sets, methods and their configs. Light where the names are ours."""

from __future__ import annotations

import inspect
from pathlib import Path

from mpafer.common.errors import OptionError
from mpafer.common.extensions import broken_note
from mpafer.common.options import closest
from mpafer.configs import ROOT, shipped


def dataset_names() -> list[str]:
    """Data sets: the YAML files of configs/datasets, and classes from elsewhere."""
    from mpafer.run_config import datasets  # with torch

    return [*shipped("datasets"), *(name for name, each in datasets().items() if _foreign(each))]


def method_names(cfg: str = "") -> list[str]:
    """The methods that have a config (of this name), MPAFER first, then ours, then those from elsewhere."""
    from mpafer.run_config import methods

    found = [name for name, each in methods().items() if not _foreign(each) and name in _with_config(cfg)]
    names = sorted(found, key=lambda name: (name != "MPAFER", name))
    return names + [name for name, each in methods().items() if _foreign(each) and (not cfg or cfg in configs(name))]


def configs(method: str) -> list[str]:
    """The configs of a method; one from elsewhere has its own and our defaults.

    Raises:
        OptionError: no such method.
    """
    if method in _with_config():
        return shipped(f"trainers/{method}")
    own = {path.stem for path in _own_configs(method).glob("*.yaml")}
    return sorted(own | set(shipped("trainers/_default_")))


def method_file(method: str, cfg: str) -> Path:
    """The YAML of a method's config.

    A method from elsewhere has them in the folder configs/METHOD beside its file; where it has none of this name, it
    gets that of configs/trainers/_default_.

    Raises:
        OptionError: no such method, or no such config of it.
    """
    if cfg not in configs(method):
        raise OptionError(f"unknown config {cfg!r} of {method}: {closest(cfg, configs(method))}")
    if method in _with_config():
        return ROOT / "trainers" / method / f"{cfg}.yaml"
    own = _own_configs(method) / f"{cfg}.yaml"
    return own if own.is_file() else ROOT / "trainers/_default_" / own.name


def check_dataset(name: str) -> None:
    """Raises OptionError where there is no data set of this name; the closest one is named."""
    if name not in shipped("datasets") and name not in dataset_names():
        raise OptionError(f"unknown data set {name!r}: {closest(name, dataset_names())}{broken_note()}")


def default_cfg(dataset: str) -> str:
    """The config where none is named; drawn faces have the tiny CLIP."""
    return "tiny" if dataset.startswith("sketchfer") else "vit_b16"


def learns(method: str) -> bool:
    """Whether a method learns anything: where it does not, all seeds are alike."""
    from mpafer.run_config import find_method

    return find_method(method).learns


def _with_config(cfg: str = "") -> set[str]:
    found = {path.parent.name for path in (ROOT / "trainers").glob(f"*/{cfg or '*'}.yaml")}
    return {name for name in found if not name.startswith("_")}


def _own_configs(method: str) -> Path:
    from mpafer.run_config import find_method

    return Path(inspect.getfile(find_method(method))).parent / "configs" / method


def _foreign(kind: type) -> bool:
    """Whether a class is not of this package."""
    return not kind.__module__.startswith("mpafer.")
