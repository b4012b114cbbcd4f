"""MPA-FER: multimodal prompt alignment for facial expression recognition over a frozen CLIP.

In Python: `load_clip` and `build_model`. In a runner on Dassl two lines: ``import mpafer`` and
``mpafer.extend_cfg(cfg)``, which adds our config keys and enters MPAFER and the data sets in Dassl's registries;
`mpafer.dassl.plug` does both for a runner that is left as it is. `repair_dassl` and `repair_clip` are for the runner's
own methods, where one calls them. Importing has no side effect.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from mpafer.clip import Clip
    from mpafer.prompting.model import FrozenClip

__all__ = ["build_model", "export_onnx", "extend_cfg", "load_clip", "repair_clip", "repair_dassl"]
_LAZY = {  # torch is imported on first use only
    "load_clip": "mpafer.clip",
    "export_onnx": "mpafer.export",
    "extend_cfg": "mpafer.dassl.register",
    "repair_clip": "mpafer.dassl.repair",
    "repair_dassl": "mpafer.dassl.repair",
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
        OptionError: unknown method or option (the closest one is named), or a value it cannot take.
        TypeError: ``method`` or a class name is no text, ``clip`` no `Clip`, or ``classnames`` a single text.
    """
    from mpafer.clip import Clip
    from mpafer.common.errors import OptionError
    from mpafer.run_config import find_method

    if not isinstance(method, str):
        raise TypeError(f"method is a {type(method).__name__}, expected a name, as 'MPAFER'")
    trainer = find_method(method)
    if not isinstance(clip, Clip):
        raise TypeError(f"clip is a {type(clip).__name__}, expected what mpafer.load_clip gives")
    if isinstance(classnames, str):
        raise TypeError(f"classnames is the text {classnames!r}, expected a list of names")
    for name in classnames:
        if not isinstance(name, str):
            raise TypeError(f"class names are texts, but {name!r} is a {type(name).__name__}")
    if not classnames or len(set(classnames)) < len(classnames):
        raise OptionError(f"class names must be one or more, each once, but are {list(classnames)}")
    given = {"descriptions": descriptions, "prototypes": prototypes}
    teachers = {name: value for name, value in given.items() if value is not None}
    if unused := teachers.keys() - set(trainer.accepts):
        raise OptionError(f"{method} has no use for {', '.join(sorted(unused))}")
    return trainer.Model(clip, classnames, trainer.Options.of(options), **teachers)
