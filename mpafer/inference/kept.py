"""A model in one small file: its learned values and what made it, without CLIP's weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor
from yacs.config import CfgNode

from mpafer.build import build_model
from mpafer.clip import Clip, load_clip
from mpafer.common.devices import named_device
from mpafer.common.errors import CheckpointError, MissingFileError, OptionError
from mpafer.common.files import atomic_file
from mpafer.common.tensors import first_nonfinite
from mpafer.engine.contents import check_backbone, load_weights
from mpafer.faces.alignment import Template
from mpafer.inputs.transforms import Transform, plain_transform
from mpafer.prompting.model import FrozenClip
from mpafer.run_config import find_method

FORMAT = "1"
# of a run's model: its data set, the classes' names there, INPUT's values, the faces' template
LEARNED_FROM = ("dataset", "display_names", "input", "template")


def save(model: FrozenClip, file: str | Path) -> None:
    """Write a model's learned values and what made it: tens of kilobytes, for `load` and `Predictor`.

    Args:
        model: from `mpafer.build_model`, `mpafer.load` or `mpafer.load_run`.
        file: where to; a safetensors file.

    Raises:
        OptionError: the model was made otherwise, or holds NaN or infinity.
    """
    if model.recipe is None:
        raise OptionError("only a model that mpafer.build_model made says what it was made with")
    values = {name: value.detach().cpu().contiguous() for name, value in model.prompts.state_dict().items()}
    if name := first_nonfinite(values):
        raise OptionError(f"{name} holds NaN or infinity: its training broke down, and it is not saved")
    clip = model.clip
    about = dict(model.recipe) | {
        "classnames": model.classnames,
        "backbone": {"name": clip.name, "fingerprint": clip.fingerprint, "activation": clip.activation},
    }
    with atomic_file(Path(file).expanduser()) as opened:
        opened.write(safetensors_bytes(values, {"mpafer": FORMAT, "model": json.dumps(about)}))


def load(
    file: str | Path,
    *,
    clip: Clip | None = None,
    backbone: str = "",
    device: str | torch.device = "cpu",
    prec: str = "",
) -> FrozenClip:
    """The model that `save` wrote, in eval mode; it answers, and its terms of training are left out.

    Args:
        file: the file.
        clip: its backbone, where that is loaded already.
        backbone: its name or path, where it is not where it was.
        device: where the model goes.
        prec: another precision than the model had.

    Raises:
        MissingFileError: no such file.
        CheckpointError: it is no such file, is damaged, does not fit, or another backbone's.
        OptionError: no such device or precision.
    """
    path = Path(file).expanduser()
    about, values = _read(path)
    if clip is None:
        known = about["backbone"]
        clip = load_clip(backbone or known["name"], device=named_device(device), activation=known["activation"])
    check_backbone(about["backbone"]["fingerprint"], clip, path)
    options = about["options"] | find_method(about["method"]).inference_overrides | ({"prec": prec} if prec else {})
    model = build_model(about["method"], clip, about["classnames"], descriptions=about["descriptions"], **options)
    model.recipe = {**(model.recipe or {}), **{key: about.get(key) for key in LEARNED_FROM}}
    load_weights(model.prompts, values, path)
    return model.eval().to(clip.device)


def transform_of(model: FrozenClip) -> Transform:
    """What an image goes through before the model: as in its run's test, or else CLIP's own."""
    node = (model.recipe or {}).get("input")
    return plain_transform(CfgNode(dict(node))) if node else model.clip.preprocess


def shown_names(model: FrozenClip) -> list[str]:
    """The C classes' names for people: those of the data set, where it calls them otherwise than the prompts do."""
    return list((model.recipe or {}).get("display_names") or model.classnames)


def template_of(model: FrozenClip) -> Template | None:
    """Where the images that the model was trained on have eyes and mouth, where that was measured."""
    return as_template((model.recipe or {}).get("template"))


def as_template(kept: Mapping[str, Any] | None) -> Template | None:
    """A template from plain values, as a recipe and an exported file have it."""
    return Template.of(kept) if kept else None


def _read(path: Path) -> tuple[Mapping[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        raise MissingFileError(f"{path} is not there")
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            values = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        if about.get("mpafer") != FORMAT:
            raise CheckpointError(f"{path} is no model that mpafer.save wrote, or that of another version")
        model = json.loads(about["model"])
        model["backbone"]["fingerprint"], model["method"], model["options"], model["classnames"]
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be read as a saved model: it is damaged or something else") from error
    if name := first_nonfinite(values):
        raise CheckpointError(f"{path}: {name} holds NaN or infinity, the file is damaged")
    return model, values
