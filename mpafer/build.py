"""A method's model, without any config or trainer."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor

from mpafer.clip import Clip
from mpafer.common.errors import OptionError
from mpafer.prompting.descriptions import Description
from mpafer.prompting.model import FrozenClip
from mpafer.run_config import find_method


def build_model(
    method: str,
    clip: Clip,
    classnames: Sequence[str],
    *,
    descriptions: Mapping[str, Description] | None = None,
    prototypes: Tensor | None = None,
    **options: Any,
) -> FrozenClip:
    """A method's model, without any config or trainer. A term of its loss that cannot be computed is a warning.

    Args:
        method: name of a trainer, ``"MPAFER"``.
        clip: frozen backbone from `load_clip`.
        classnames: C class names, in the order of the labels.
        descriptions: class name -> text, or a sequence of texts, whose targets are averaged; for methods that use
            descriptions; default: the paper's table.
        prototypes: [C, D] class means of un-prompted features, not normalised, as `mpafer.class_prototypes` gives them;
            without them no prototype term.
        **options: lower-case names of the method's config node, e.g. ``n_ctx=10, alignment="global"``.

    Raises:
        OptionError: unknown method or option (the closest one is named), or a value it cannot take.
        TypeError: ``method`` or a class name is no text, ``clip`` no `Clip`, or ``classnames`` a single text.
    """
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
    chosen = trainer.Options.of(options)
    if lack := trainer.untaught(chosen, teachers.keys()):
        warnings.warn(f"{method}: {lack}", stacklevel=2)
    model = trainer.Model(clip, classnames, chosen, **teachers)
    model.recipe = {
        "method": method,
        "options": asdict(chosen),
        "descriptions": None if descriptions is None else dict(descriptions),
    }
    return model
