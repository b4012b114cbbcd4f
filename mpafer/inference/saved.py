"""A finished run's model, and the transform its images go through."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from mpafer.build import build_model
from mpafer.clip import load_clip
from mpafer.clip.sizes import QUICKGELU
from mpafer.common.devices import named_device
from mpafer.common.errors import CheckpointError
from mpafer.common.extensions import broken_note
from mpafer.common.options import closest
from mpafer.engine.checkpoint import find_checkpoint, load_checkpoint
from mpafer.engine.contents import check_backbone, checked, display_names, load_weights, run_identity, stored_config
from mpafer.engine.saving import checkpoint_folder
from mpafer.inputs.transforms import Transform, plain_transform, plain_values
from mpafer.prompting.descriptions import load_descriptions
from mpafer.prompting.model import FrozenClip
from mpafer.results.schema import RESULTS, RunResult
from mpafer.run_config import methods


@dataclass(frozen=True)
class SavedRun:
    """What a run's folder says of it."""

    cfg: CfgNode
    method: str
    classnames: list[str]  # for prompts, and to match classes by
    display_names: list[str]  # for people
    seed: int
    epochs: int
    checkpoint: Path | None  # None: the method learns nothing
    backbone: str  # fingerprint of CLIP's weights; "" = not known, without a checkpoint
    activation: str  # of CLIP
    prompts: dict[str, Tensor]


def read_run(run: str | Path, epoch: int | None = None) -> SavedRun:
    """A run's checkpoint, ``epoch``'s or the best one or else the last; of a method that learns nothing its results.

    Raises:
        MissingFileError: no such folder, or no checkpoint there.
        CheckpointError: it is damaged, or no run's.
    """
    if not isinstance(run, (str, Path)):
        raise TypeError(f"run is a {type(run).__name__}, expected the path of a folder")
    run = Path(run).expanduser()
    results = run / RESULTS
    if results.is_file() and not (result := RunResult.read(results)).learnable_values:
        cfg = CfgNode(result.config)
        activation = cfg.MODEL.BACKBONE.get("ACTIVATION") or QUICKGELU  # older runs had no other
        names = list(result.classnames), list(result.display_names)
        return SavedRun(cfg, result.trainer, *names, result.seed, 0, None, "", activation, {})
    path = find_checkpoint(checkpoint_folder(run), epoch)
    state = checked(load_checkpoint(path), path)
    identity, cfg = run_identity(state, path), stored_config(state, path)
    return SavedRun(
        cfg, identity["method"], identity["classnames"], display_names(state, path),
        state["extra"].get("seed", cfg.get("SEED", -1)), state["epoch"], path,
        identity["backbone"], identity["activation"], state["state_dict"],
    )  # fmt: skip


def build_run(
    saved: SavedRun, *, backbone: str = "", device: str | torch.device = "cpu", prec: str = ""
) -> tuple[FrozenClip, Transform]:
    """A run's model, in eval mode, and the transform its images go through; arguments and errors as `load_run`."""
    if saved.method not in methods():
        place, near = saved.checkpoint or "the results file", closest(saved.method, methods())
        near += f"; one of your own needs --import{broken_note()}"
        raise CheckpointError(f"{place} is of {saved.method!r}, which is no method here; {near}")
    cfg, trainer = saved.cfg, methods()[saved.method]
    clip = load_clip(backbone or cfg.MODEL.BACKBONE.NAME, device=device, activation=saved.activation)
    if saved.backbone:
        check_backbone(saved.backbone, clip, saved.checkpoint)
    options: dict[str, Any] = asdict(trainer.options_from(cfg)) | trainer.inference_overrides
    options |= {"prec": prec} if prec else {}
    if cfg.DATASET.DESCRIPTIONS and "descriptions" in trainer.accepts and not saved.prompts:  # they are the classifier
        options["descriptions"] = load_descriptions(cfg.DATASET.DESCRIPTIONS, saved.classnames)
    model = build_model(saved.method, clip, saved.classnames, **options)
    model.recipe = {
        **(model.recipe or {}), "input": plain_values(cfg.INPUT), "dataset": cfg.DATASET.NAME,
        "display_names": saved.display_names,
    }  # fmt: skip
    if saved.prompts and saved.checkpoint:
        load_weights(model.prompts, saved.prompts, saved.checkpoint)
    return model.eval().to(device), plain_transform(cfg.INPUT)


def load_run(
    run: str | Path,
    *,
    epoch: int | None = None,
    backbone: str = "",
    device: str | torch.device = "cpu",
    prec: str = "",
) -> tuple[FrozenClip, Transform]:
    """The trained model of a run, in eval mode, and the transform its images go through.

    Args:
        run: the run's output folder.
        epoch: which checkpoint; default the best one, or else the last.
        backbone: name or path of CLIP's weights, where they are not where the run had them.
        device: where the model goes.
        prec: precision, fp32, fp16, amp or bf16, where it shall not be the run's.

    Raises:
        OptionError: no such device here, or precision.
        MissingFileError: no checkpoint there.
        CheckpointError: the backbone has other weights than the run's, or the checkpoint is damaged.
    """
    device = named_device(device)
    return build_run(read_run(run, epoch), backbone=backbone, device=device, prec=prec)
