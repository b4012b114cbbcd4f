"""The one import seam between this package and its engine: real Dassl where it is installed, else
``builtin``.

``MPAFER_ENGINE`` = ``auto`` (default) | ``dassl`` | ``builtin`` chooses; ``ENGINE`` and ``ENGINE_VERSION``
tell what was chosen. Every other name is looked up on first use, so importing this module costs nothing.
Nothing else in the package may import ``dassl``.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import TYPE_CHECKING, Any

from mpafer.engine.results import package_version

if TYPE_CHECKING:  # type checkers see the built-in classes, whose interface is Dassl's
    from mpafer.engine.builtin.config import get_cfg_default
    from mpafer.engine.builtin.data import DataManager, DatasetWrapper, build_data_loader
    from mpafer.engine.builtin.dataset import DatasetBase, Datum
    from mpafer.engine.builtin.evaluator import EvaluatorBase, build_evaluator
    from mpafer.engine.builtin.optim import build_optimizer
    from mpafer.engine.builtin.registry import (
        DATASET_REGISTRY,
        EVALUATOR_REGISTRY,
        TRAINER_REGISTRY,
        build_dataset,
        build_trainer,
    )
    from mpafer.engine.builtin.trainer import TrainerX
    from mpafer.engine.builtin.transforms import build_transform
    from mpafer.engine.builtin.utils import collect_env_info, set_random_seed, setup_logger

_CHOICES = ("auto", "dassl", "builtin")
_DASSL_HOME = "https://github.com/KaiyangZhou/Dassl.pytorch"

# name -> (module of Dassl, module of mpafer.engine.builtin)
_HOMES = {
    "TRAINER_REGISTRY": ("dassl.engine", "registry"),
    "DATASET_REGISTRY": ("dassl.data.datasets", "registry"),
    "EVALUATOR_REGISTRY": ("dassl.evaluation", "registry"),
    "TrainerX": ("dassl.engine", "trainer"),
    "EvaluatorBase": ("dassl.evaluation", "evaluator"),
    "Datum": ("dassl.data.datasets", "dataset"),
    "DatasetBase": ("dassl.data.datasets", "dataset"),
    "DatasetWrapper": ("dassl.data.data_manager", "data"),
    "DataManager": ("dassl.data", "data"),
    "build_data_loader": ("dassl.data.data_manager", "data"),
    "build_dataset": ("dassl.data.datasets", "registry"),
    "build_trainer": ("dassl.engine", "registry"),
    "build_evaluator": ("dassl.evaluation", "evaluator"),
    "build_optimizer": ("dassl.optim", "optim"),
    "build_transform": ("dassl.data.transforms", "transforms"),
    "get_cfg_default": ("dassl.config", "config"),
    "set_random_seed": ("dassl.utils", "utils"),
    "setup_logger": ("dassl.utils", "utils"),
    "collect_env_info": ("dassl.utils", "utils"),
}

__all__ = [
    "DATASET_REGISTRY",
    "ENGINE",
    "ENGINE_VERSION",
    "EVALUATOR_REGISTRY",
    "TRAINER_REGISTRY",
    "DataManager",
    "DatasetBase",
    "DatasetWrapper",
    "Datum",
    "EvaluatorBase",
    "TrainerX",
    "build_data_loader",
    "build_dataset",
    "build_evaluator",
    "build_optimizer",
    "build_trainer",
    "build_transform",
    "collect_env_info",
    "dassl_module",
    "get_cfg_default",
    "set_random_seed",
    "setup_logger",
]


def _choose(requested: str) -> str:
    if requested not in _CHOICES:
        raise ValueError(f"MPAFER_ENGINE={requested!r}: expected one of {', '.join(_CHOICES)}")
    found = requested != "builtin" and _has_dassl()
    if requested == "dassl" and not found:
        raise ImportError(
            "MPAFER_ENGINE=dassl, but Dassl is not installed here; install it from "
            f"{_DASSL_HOME} or set MPAFER_ENGINE=builtin"
        )
    return "dassl" if found else "builtin"


def _has_dassl() -> bool:
    spec = importlib.util.find_spec("dassl")
    return spec is not None and spec.origin is not None  # a bare folder named dassl is not Dassl


def dassl_module(name: str) -> Any:
    """A module of Dassl's, whichever engine runs, for what is about Dassl itself.

    Raises:
        ImportError: Dassl is not installed here, or misses something.
    """
    if not _has_dassl():
        raise ImportError(f"Dassl is not installed here; install it from {_DASSL_HOME}")
    return _import(name)


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if not module.startswith("dassl"):
            raise
        raise ImportError(
            f"Dassl is installed but {module} cannot be imported ({error}); install what it misses "
            "(or, for our own runner, set MPAFER_ENGINE=builtin)"
        ) from error


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    theirs, ours = _HOMES[name]
    module = theirs if ENGINE == "dassl" else f"mpafer.engine.builtin.{ours}"
    value = getattr(_import(module), name)
    globals()[name] = value
    return value


ENGINE = _choose(os.environ.get("MPAFER_ENGINE", "auto"))
ENGINE_VERSION = (
    str(getattr(_import("dassl"), "__version__", "unknown")) if ENGINE == "dassl" else package_version("mpafer")
)
