"""A finished run's model and transform, and the class probabilities it gives to image files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from mpafer.clip import load_clip
from mpafer.common.errors import CheckpointError
from mpafer.engine.checkpoint import find_checkpoint, load_checkpoint, run_identity
from mpafer.engine.saving import checkpoint_folder
from mpafer.inputs.reading import read_image
from mpafer.inputs.transforms import Transform, plain_transform
from mpafer.prompting.descriptions import load_descriptions
from mpafer.prompting.model import FrozenClip
from mpafer.results.schema import RESULTS, RunResult


@dataclass(frozen=True)
class SavedRun:
    """What a run's folder says of it."""

    cfg: CfgNode
    method: str
    classnames: list[str]
    seed: int
    epochs: int
    checkpoint: Path | None  # None: the method learns nothing
    backbone: str  # fingerprint of CLIP's weights; "" = not known, without a checkpoint
    prompts: dict[str, Tensor]


def read_run(run: str | Path, epoch: int | None = None) -> SavedRun:
    """A run's checkpoint, ``epoch``'s or the best one or else the last; of a method that learns nothing its results.

    Raises:
        MissingFileError: no checkpoint there.
    """
    results = Path(run) / RESULTS
    if results.is_file() and not (result := RunResult.read(results)).learnable_values:
        cfg = CfgNode(result.config)
        return SavedRun(cfg, result.trainer, list(result.classnames), result.seed, 0, None, "", {})
    path = find_checkpoint(checkpoint_folder(run), epoch)
    state = load_checkpoint(path)
    identity, cfg = run_identity(state, path), CfgNode.load_cfg(state["extra"]["config"])
    return SavedRun(
        cfg, identity["method"], identity["classnames"], state["extra"]["seed"], state["epoch"],
        path, identity["backbone"], state["state_dict"],
    )  # fmt: skip


def build_run(
    saved: SavedRun, *, backbone: str = "", device: str | torch.device = "cpu"
) -> tuple[FrozenClip, Transform]:
    """A run's model, in eval mode, and the transform its images go through; arguments and errors as `load_run`."""
    import mpafer
    from mpafer.run_config import find_method

    cfg, trainer = saved.cfg, find_method(saved.method)
    clip = load_clip(backbone or cfg.MODEL.BACKBONE.NAME, device=device)
    if saved.backbone and clip.fingerprint != saved.backbone:
        raise CheckpointError(
            f"{saved.checkpoint} is of another backbone: {saved.backbone} there, {clip.fingerprint} ({clip.name})"
        )
    options: dict[str, Any] = asdict(trainer.options_from(cfg)) | trainer.inference_overrides
    if cfg.DATASET.DESCRIPTIONS and "descriptions" in trainer.accepts and not saved.prompts:  # they are the classifier
        options["descriptions"] = load_descriptions(cfg.DATASET.DESCRIPTIONS, saved.classnames)
    model = mpafer.build_model(saved.method, clip, saved.classnames, **options)
    if saved.prompts:
        model.prompts.load_state_dict(saved.prompts)
    return model.eval().to(device), plain_transform(cfg.INPUT)


def load_run(
    run: str | Path, *, epoch: int | None = None, backbone: str = "", device: str | torch.device = "cpu"
) -> tuple[FrozenClip, Transform]:
    """The trained model of a run, in eval mode, and the transform its images go through.

    Args:
        run: the run's output folder.
        epoch: which checkpoint; default the best one, or else the last.
        backbone: name or path of CLIP's weights, where they are not where the run had them.
        device: where the model goes.

    Raises:
        MissingFileError: no checkpoint there.
        CheckpointError: the backbone has other weights than the run's.
    """
    return build_run(read_run(run, epoch), backbone=backbone, device=device)


@torch.no_grad()
def probabilities(model: FrozenClip, transform: Transform, images: Sequence[str], batch_size: int = 32) -> Tensor:
    """Image files -> class probabilities [N, C] on the CPU."""
    rows = []
    for start in range(0, len(images), batch_size):
        batch = torch.stack([transform(read_image(path)) for path in images[start : start + batch_size]])
        rows.append(model(batch.to(model.clip.device)).logits.softmax(dim=1).cpu())
    return torch.cat(rows)
