"""Weights in several parts with an index beside them, as Hugging Face's libraries save large models."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mpafer.common.errors import DataError, MissingFileError
from mpafer.common.tensors import read_tensors

INDEX = ".index.json"  # how its name ends: model.safetensors.index.json, pytorch_model.bin.index.json
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")
_PART = re.compile(r"(.*)-\d{5}-of-(\d{5})(\.[a-z]+)")


def index_in(folder: Path) -> Path | None:
    """The index of the one model that a folder holds; None where it holds none in parts, or other weights too."""
    indices = list(folder.glob(f"*{INDEX}"))
    if len(indices) != 1:
        return None
    others = {file.name for file in folder.iterdir() if file.suffix in WEIGHTS} - set(_parts(indices[0]).values())
    return None if others else indices[0]


def index_of(path: Path) -> Path | None:
    """The index that a file is, or whose part it is; None for a model in one file.

    Raises:
        MissingFileError: a part without its index beside it.
        DataError: the index beside a part is damaged, or knows no such part.
    """
    if path.name.endswith(INDEX):
        return path
    if not (named := _PART.fullmatch(path.name)) or int(named[2]) == 1:
        return None
    index = path.with_name(f"{named[1]}{named[3]}{INDEX}")
    if not index.is_file():
        raise MissingFileError(f"{path} is one of {int(named[2])} parts of a model: put {index.name} beside it")
    if path.name not in _parts(index).values():
        raise DataError(f"{index} knows no part {path.name}: get both from the same place")
    return index


def read_parts(index: Path, wanted: str) -> dict[str, Tensor]:
    """The tensors of all parts of a model.

    Args:
        index: its index.
        wanted: what it should be, for the message.

    Raises:
        MissingFileError: a part that is not there; it is named.
        DataError: the index or a part is damaged, or a part holds other tensors than the index says.
    """
    parts = _parts(index)
    state: dict[str, Tensor] = {}
    for name in sorted(set(parts.values())):
        part = index.with_name(name)
        if not part.is_file():
            raise MissingFileError(f"{part} is not there, a part of the model that {index} describes: put it there")
        tensors = read_tensors(part, wanted)
        if not isinstance(tensors, Mapping):
            raise DataError(f"{part} holds a {type(tensors).__name__} instead of named tensors")
        expected = {key for key, place in parts.items() if place == name}
        if unlike := sorted(map(str, expected ^ tensors.keys())):
            holds = "lacks" if unlike[0] in expected else "holds"
            raise DataError(f"{part} {holds} {unlike[0]}, unlike what {index.name} says: get both from the same place")
        state |= tensors
    return state


def _parts(index: Path) -> dict[str, str]:
    """Name of each tensor -> name of the part that holds it."""
    try:
        parts = json.loads(index.read_text("utf-8"))["weight_map"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{index} is no index of a model in parts, or a damaged one: get it again") from error
    if not isinstance(parts, dict) or not parts:
        raise DataError(f"{index} names no parts of a model: get it again")
    for name in parts.values():
        if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name:
            raise DataError(f"{index} names a part {name!r}, which is no file beside it: get it again")
    return parts
