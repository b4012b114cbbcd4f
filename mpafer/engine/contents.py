"""What a checkpoint of a run has to hold, checked before anything is done with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor, nn
from yacs.config import CfgNode

from mpafer.clip import Clip
from mpafer.clip.sizes import QUICKGELU
from mpafer.common.errors import CheckpointError
from mpafer.common.tensors import first_nonfinite, is_plain

_KINDS: dict[str, type] = {"state_dict": dict, "epoch": int}
_IDENTITY: dict[str, type] = {"method": str, "backbone": str, "classnames": list, "shapes": dict}
_OLDER = {"activation": QUICKGELU}  # of runs from before MODEL.BACKBONE.ACTIVATION


def checked(state: Any, path: str | Path) -> dict[str, Any]:
    """A checkpoint of a run, as it was read from ``path``.

    Raises:
        CheckpointError: it is something else, lacks an entry, or holds weights that are NaN or infinite.
    """
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} is no checkpoint of a run: it holds a {type(state).__name__}")
    _check_kinds(state, _KINDS, path)
    if not isinstance(state.get("extra"), dict):
        raise CheckpointError(f"{path} is a checkpoint of another program: it does not say what it was trained with")
    if others := [key for key, value in state["state_dict"].items() if not is_plain(value)]:
        raise CheckpointError(f"{path} is no checkpoint of a run: its {others[0]} is no plain tensor")
    if key := first_nonfinite(state["state_dict"]):
        raise CheckpointError(
            f"{path}: {key} holds NaN or infinity, the file is damaged or its training broke down; take another "
            "epoch's, or train anew"
        )
    return state


def run_identity(state: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """What a run of ours wrote of itself into its checkpoint: method, activation and backbone, classnames, shapes.

    Raises:
        CheckpointError: the checkpoint is another program's, or damaged.
    """
    identity = state.get("extra", {}).get("identity")
    if not isinstance(identity, dict):
        raise CheckpointError(f"{path} is a checkpoint of another program: it does not say what it was trained with")
    _check_kinds(identity, _IDENTITY, path)
    return _OLDER | identity


def display_names(state: Mapping[str, Any], path: str | Path) -> list[str]:
    """The classes' names for people; older runs had those for prompts only.

    Raises:
        CheckpointError: they are damaged.
    """
    classnames = run_identity(state, path)["classnames"]
    names = state["extra"].get("display_names", classnames)
    if not isinstance(names, list) or len(names) != len(classnames) or not all(isinstance(n, str) for n in names):
        raise CheckpointError(f"{path} is damaged: its display_names are no {len(classnames)} texts")
    return names


def stored_config(state: Mapping[str, Any], path: str | Path) -> CfgNode:
    """The config that a run of ours wrote into its checkpoint.

    Raises:
        CheckpointError: it is not there, or no tree of keys and values.
    """
    try:
        return CfgNode(yaml.safe_load(state["extra"]["config"]))
    except (KeyError, TypeError, ValueError, AttributeError, AssertionError, yaml.YAMLError) as error:
        raise CheckpointError(f"{path} is damaged: the config in it cannot be read") from error


def check_backbone(fingerprint: str, clip: Clip, path: str | Path | None) -> None:
    """Raises CheckpointError where what a file holds was learned over other weights of CLIP than these."""
    if clip.fingerprint != fingerprint:
        raise CheckpointError(f"{path} is of another backbone: {fingerprint} there, {clip.fingerprint} ({clip.name})")


def load_weights(module: nn.Module, state: Mapping[str, Tensor], path: str | Path) -> None:
    """Load weights read from ``path``, strictly.

    Raises:
        CheckpointError: a weight is missing, left over, or of another shape; it is named.
    """
    own = module.state_dict()
    for name in sorted(own.keys() | state.keys()):
        theirs, ours = (list(part[name].shape) if name in part else "not" for part in (state, own))
        if theirs != ours:
            raise CheckpointError(f"{path} does not fit this model: {name} is {theirs} there, {ours} here")
    module.load_state_dict(state)


def _check_kinds(entries: Mapping[str, Any], kinds: Mapping[str, type], path: str | Path) -> None:
    for key, kind in kinds.items():
        if key not in entries:
            raise CheckpointError(f"{path} is no checkpoint of a run: it lacks {key!r}")
        if not isinstance(entries[key], kind):
            found = type(entries[key]).__name__
            raise CheckpointError(f"{path} is no checkpoint of a run: its {key} is a {found}, not a {kind.__name__}")
