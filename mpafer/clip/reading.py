"""From a weight file to tensors of OpenAI's names, whichever of three namings and formats it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mpafer.clip import huggingface, openclip
from mpafer.clip.shards import index_of, read_parts
from mpafer.clip.strangers import refuse_strangers
from mpafer.common.errors import DataError
from mpafer.common.kinds import is_torchscript
from mpafer.common.tensors import read_tensors, unreadable

WANTED = "CLIP weights"
NESTS = ("state_dict", "model")  # where others keep the tensors in a checkpoint


@dataclass(frozen=True)
class Weights:
    """Tensors under OpenAI's names, and whose file they came in: openai, archive, tiny, open_clip or huggingface.

    ``archive`` is OpenAI's own file; ``openai`` are its names, which open_clip has too.
    """

    state: dict[str, Tensor]
    origin: str


def read_weights(path: Path) -> Weights:
    """Tensors of a weight file: safetensors, JIT archive, plain or nested state dict; of an index, those of its parts.

    Raises:
        DataError: the file is damaged or holds something else, and what.
        MissingFileError: a part of a model in several, or its index.
    """
    if is_torchscript(path):
        return Weights(_archived(path), "archive")
    index = index_of(path)
    content = read_parts(index, WANTED) if index else read_tensors(path, WANTED)
    try:
        state, entries = _tensors(content)
        state = openclip.without_wrappers(state)
        refuse_strangers(state)
        if huggingface.is_named_so(state):
            return Weights(huggingface.to_openai(state), "huggingface")
        if openclip.is_file_of_theirs(path, entries, state):
            return Weights(openclip.to_openai(state), "open_clip")
    except DataError as error:
        raise unreadable(path, WANTED, str(error)) from error
    return Weights(state, "tiny" if "token_ids" in state else "openai")


def _archived(path: Path) -> dict[str, Tensor]:
    """Tensors of a TorchScript archive, as OpenAI's are."""
    try:
        return dict(torch.jit.load(str(path), map_location="cpu").state_dict())
    except RuntimeError as error:
        reason = "it is a TorchScript archive that is damaged or cut short: copy or download it again"
        raise unreadable(path, WANTED, reason) from error


def _tensors(content: Any) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of what a file holds, out of the entry where others keep them, and the names of all its entries."""
    if not isinstance(content, Mapping):
        raise DataError(f"it holds a {type(content).__name__} instead of named tensors")
    entries = [key for key in content if isinstance(key, str)]
    if {"param_groups", "state"} <= set(entries):
        raise DataError("it holds an optimiser's state: name the file of the model beside it")
    extra = content.get("extra")
    if isinstance(extra, Mapping) and "identity" in extra:
        raise DataError(
            "it is a checkpoint of prompts trained with mpafer, which need a CLIP: name that here, and the run's "
            "folder where a run is asked for"
        )
    nests = [content[name] for name in NESTS if isinstance(content.get(name), Mapping)]
    found = nests[0] if nests else content
    state = {key: value for key, value in found.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if not state:
        raise DataError(f"it holds no tensors, only {', '.join(map(repr, list(content)[:5])) or 'nothing'}")
    return state, entries
