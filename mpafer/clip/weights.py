"""CLIP's weights by name or path: OpenAI's names, a file of three namings, or the tiny CLIP shipped here."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import torch

from mpafer.clip.backbone import Clip
from mpafer.clip.download import openai_file
from mpafer.clip.reading import read_weights
from mpafer.clip.settings import KEY, find_settings
from mpafer.clip.shards import INDEX, WEIGHTS, index_in
from mpafer.clip.sizes import ACTIVATIONS
from mpafer.common.errors import DataError, OptionError
from mpafer.common.options import check_choice

TINY = resources.files("mpafer.clip") / "assets" / "tiny.safetensors"


def load_clip(
    name: str = "ViT-B/16",
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    activation: str = "",
) -> Clip:
    """Load a frozen CLIP.

    Args:
        name: one of OpenAI's ViT names (downloaded once to ``~/.cache/clip``), ``"tiny"`` (drawn faces, shipped with
            the package), or the path of a file: OpenAI's JIT archive, a plain or FaRL-style state dict, safetensors,
            with OpenAI's, open_clip's or Hugging Face's names of the tensors; of a model in parts their index, a part,
            or the folder that holds them.
        device: where the weights go.
        dtype: precision of the blocks' matrices; layer norms and projections stay in float32.
        activation: ``quickgelu`` or ``gelu``; "" = what the config file beside the weights says, or a guess, which is
            logged.

    Raises:
        OptionError: an unknown name (the closest one is named), the name of a ResNet CLIP, or an activation that is
            unknown or cannot be guessed.
        DataError: a file that holds no CLIP of two transformers; says what it is.
        MissingFileError: the file cannot be downloaded, or is a part without the others; says which file to put where.
    """
    check_choice(KEY, activation, ("", *ACTIVATIONS))
    path = _path(name)
    weights = read_weights(path)
    try:
        settings = find_settings(path, weights, activation)
        clip = Clip.from_state_dict(weights.state, activation=settings.activation, heads=settings.heads)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    clip = clip.cast(dtype).to(device)
    clip.name = name
    return clip


def _path(name: str) -> Path:
    """The file that goes by a name or path."""
    if name == "tiny":
        return Path(str(TINY))
    path = Path(name).expanduser()
    if path.is_dir():
        if index := index_in(path):
            return index
        known = sorted(file.name for file in path.iterdir() if file.name.endswith((*WEIGHTS, INDEX)))
        raise OptionError(f"{path} is a folder: name the file of weights in it ({', '.join(known) or 'there is none'})")
    return path if path.is_file() else openai_file(name)
