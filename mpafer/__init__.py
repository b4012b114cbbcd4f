"""MPA-FER: multimodal prompt alignment for facial expression recognition over a frozen CLIP.

In Python: `load_clip` and `build_model`. In a Dassl runner: ``import mpafer`` enters MPAFER and the data sets in
Dassl's registries, and ``mpafer.extend_cfg(cfg)`` adds their config keys; `mpafer.plug` does both for a runner that is
left as it is. `repair_dassl` and `repair_clip` are for the runner's own methods, where one calls them.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mpafer.engine import host

if TYPE_CHECKING:
    from torch import Tensor

    from mpafer.clip import Clip
    from mpafer.prompting.model import FrozenClip

__all__ = ["build_model", "extend_cfg", "load_clip", "register", "repair_clip", "repair_dassl"]
_LAZY = {  # torch is imported on first use only
    "load_clip": "mpafer.clip",
    "extend_cfg": "mpafer.config",
    "repair_clip": "mpafer.repair",
    "repair_dassl": "mpafer.repair",
}


if importlib.util.find_spec("mpafer.datasets") is None:  # the checkout's folder hides the installed package
    raise ImportError(
        f"{__path__[0]} is the source, which works only where it is installed as such: pip install -e ., or start from "
        "another folder"
    )


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'mpafer' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def build_model(
    method: str,
    clip: Clip,
    classnames: Sequence[str],
    *,
    descriptions: Mapping[str, str] | None = None,
    prototypes: Tensor | None = None,
    **options: Any,
) -> FrozenClip:
    """A method's model, without any config or trainer.

    Args:
        method: name of a trainer, ``"MPAFER"``.
        clip: frozen backbone from `load_clip`.
        classnames: C class names, in the order of the labels.
        descriptions: class name -> text, for methods that use descriptions; default: the paper's table.
        prototypes: [C, D] class means of un-prompted features, not normalised; without them no prototype term.
        **options: lower-case names of the method's config node, e.g. ``n_ctx=10, alignment="global"``.

    Raises:
        ValueError: unknown method or option (the closest one is named), or a value it cannot take.
    """
    from mpafer.options import closest
    from mpafer.trainers import METHODS

    if method not in METHODS:
        raise ValueError(f"no method {method!r}: {closest(method, METHODS)}")
    if not classnames or len(set(classnames)) < len(classnames):
        raise ValueError(f"class names must be one or more, each once, but are {list(classnames)}")
    trainer = METHODS[method]
    given = {"descriptions": descriptions, "prototypes": prototypes}
    teachers = {name: value for name, value in given.items() if value is not None}
    if unused := teachers.keys() - set(trainer.takes):
        raise ValueError(f"{method} has no use for {', '.join(sorted(unused))}")
    return trainer.Model(clip, classnames, trainer.Options.of(options), **teachers)


def register(*, baselines: bool = False) -> None:
    """Enter MPAFER and the data sets in the engine's registries; a name that is there already is left alone.

    Args:
        baselines: enter the other methods too. Only our own runner does: in a CoOp checkout ``CoOp`` is theirs.
    """
    from mpafer import datasets  # noqa: F401  (importing registers)
    from mpafer.trainers import METHODS

    known = host.TRAINER_REGISTRY.registered_names()
    for name, trainer in METHODS.items():
        if name not in known and (baselines or name == "MPAFER"):
            host.TRAINER_REGISTRY.register(trainer)


_launched = any(word.endswith("mpafer.plug") for word in sys.orig_argv)  # it enters ours after the runner's own
if host.ENGINE == "dassl" and not _launched:
    register()
