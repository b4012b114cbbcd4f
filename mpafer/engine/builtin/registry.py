"""Name -> class registries with Dassl's interface, and the two builders that read them."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class UnknownNameError(KeyError, ValueError):
    """A name nobody registered. Dassl raises KeyError here and ValueError there; this is both."""

    __str__ = Exception.__str__  # KeyError would print the message in quotes


class Registry:
    """Maps class names to classes; ``register`` works as a decorator and as a call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._objects: dict[str, Any] = {}

    def register(self, obj: Any = None, force: bool = False) -> Any:
        """Register ``obj`` under its ``__name__``; a name that is taken is a KeyError unless ``force``."""
        if obj is None:
            return self._decorator(force)
        if obj.__name__ in self._objects and not force:
            raise KeyError(f"{obj.__name__} is already registered in the {self._name} registry")
        self._objects[obj.__name__] = obj
        return obj

    def _decorator(self, force: bool) -> Callable[[T], T]:
        return lambda obj: self.register(obj, force=force)

    def get(self, name: str) -> Any:
        """The registered object; an unknown name is an error that lists the closest ones."""
        if name not in self._objects:
            close = difflib.get_close_matches(name, self._objects, cutoff=0.4)
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            known = ", ".join(sorted(self._objects)) or "none"
            raise UnknownNameError(f"unknown {self._name.lower()} {name!r}.{hint} Registered: {known}")
        return self._objects[name]

    def registered_names(self) -> list[str]:
        return list(self._objects)


TRAINER_REGISTRY = Registry("TRAINER")
DATASET_REGISTRY = Registry("DATASET")
EVALUATOR_REGISTRY = Registry("EVALUATOR")


def _build(registry: Registry, kind: str, name: str, cfg: Any, **kwargs: Any) -> Any:
    factory = registry.get(name)
    if cfg.VERBOSE:
        print(f"Loading {kind}: {name}")
    return factory(cfg, **kwargs)


def build_trainer(cfg: Any) -> Any:
    """The trainer named by ``cfg.TRAINER.NAME``."""
    return _build(TRAINER_REGISTRY, "trainer", cfg.TRAINER.NAME, cfg)


def build_dataset(cfg: Any) -> Any:
    """The data set named by ``cfg.DATASET.NAME``."""
    return _build(DATASET_REGISTRY, "dataset", cfg.DATASET.NAME, cfg)


def build_evaluator(cfg: Any, **kwargs: Any) -> Any:
    """The evaluator named by ``cfg.TEST.EVALUATOR``."""
    return _build(EVALUATOR_REGISTRY, "evaluator", cfg.TEST.EVALUATOR, cfg, **kwargs)
