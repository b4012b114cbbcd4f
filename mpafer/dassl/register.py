"""What a runner on Dassl needs of us: our config keys in its tree, MPAFER and the data sets in its registries."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from yacs.config import CfgNode

from mpafer.common.defaults import add_keys, add_ours
from mpafer.common.errors import MissingPackageError
from mpafer.run_config import add_options, find_method
from mpafer.run_config import datasets as every_dataset
from mpafer.trainers.base import PromptTrainer

_HOME = "https://github.com/KaiyangZhou/Dassl.pytorch"


def extend_cfg(cfg: CfgNode) -> None:
    """Add our keys to a Dassl config tree, in place; keys that are there are left alone.

    Where Dassl runs, MPAFER and the data sets are entered in its registries too. Call it after all of the runner's own
    imports, so that a name which the runner registers itself stays its own.
    """
    add_keys(cfg.DATALOADER, {"FAST": False})  # MPAFER reads images as the checkout's other methods do
    add_ours(cfg)
    add_options(cfg, [find_method("MPAFER")], every_dataset().values())
    if "dassl" in sys.modules:
        register()


def register() -> None:
    """Enter MPAFER and the data sets in Dassl's registries; a name that is there already is left alone."""
    trainers: Any = dassl_module("dassl.engine").TRAINER_REGISTRY
    datasets: Any = dassl_module("dassl.data.datasets").DATASET_REGISTRY
    if "MPAFER" not in trainers.registered_names():
        trainers.register(guest(find_method("MPAFER")))
    for name, dataset in every_dataset().items():
        if name not in datasets.registered_names():
            datasets.register(dataset)


def guest(method: type[PromptTrainer]) -> type[PromptTrainer]:
    """The method with its data set from Dassl's registry, where a name may be the checkout's own."""
    build: Any = dassl_module("dassl.data.datasets").build_dataset
    return type(method.__name__, (method,), {"load_dataset": lambda self, cfg: build(cfg), "runner": "dassl"})


def dassl_module(name: str) -> Any:
    """A module of Dassl's.

    Raises:
        MissingPackageError: Dassl is not installed here, or misses something.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and str(error.name).split(".")[0] == "dassl":
            raise MissingPackageError(f"Dassl is not installed here; install it from {_HOME}") from error
        raise MissingPackageError(
            f"Dassl is installed but {name} cannot be imported ({error}); install what it misses"
        ) from error
