"""What a model's config file says of it, where one lies beside its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpafer.clip.sizes import Sizes
from mpafer.common.errors import DataError


@dataclass(frozen=True)
class ModelConfig:
    """What the tensors do not tell; of both towers, vision first."""

    file: Path
    activation: str
    heads: tuple[int, int]
    widths: tuple[int, int]
    layers: tuple[int, int]
    patch: int
    pixels: tuple[Any, Any] | None = None  # mean and deviation that images were normalised with, where it says so

    def fits(self, sizes: Sizes) -> bool:
        """Whether it is the config of weights of these sizes."""
        widths, layers = (sizes.visual.width, sizes.text.width), (sizes.visual.layers, sizes.text.layers)
        return (self.widths, self.layers, self.patch) == (widths, layers, sizes.patch)


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object; {} where there is no such file, or it holds something else.

    Raises:
        DataError: it is not JSON.
    """
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise DataError(f"{file} is not JSON ({error}); mend it or take it away") from error
    return content if isinstance(content, dict) else {}


def number(file: Path, node: Mapping[str, Any], key: str, usual: int) -> int:
    """A whole number of a config, or the usual one where it says nothing.

    Raises:
        DataError: it is something else, or below 1.
    """
    value = node.get(key, usual)
    if type(value) is not int or value < 1:
        raise DataError(f"{file}: {key} is {value!r}, where a CLIP of two transformers has a whole number")
    return value


def refuse_others(file: Path, node: Mapping[str, Any], usual: Mapping[str, Any]) -> None:
    """Raises DataError where a key is set to something else than ``usual``, which is what the towers here compute."""
    for key, value in usual.items():
        if node.get(key, value) not in (value, None):
            raise DataError(f"{file}: {key} is {node[key]!r}, and the towers here compute {value!r} only")
