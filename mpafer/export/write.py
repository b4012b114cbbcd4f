"""A run, or a model, written as one ONNX file, compared with torch before it is there."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mpafer.clip.preprocess import PIXEL_MEAN, PIXEL_STD
from mpafer.common.errors import MissingPackageError, OptionError
from mpafer.common.files import atomic_file, prune_temporary
from mpafer.common.versions import package_version
from mpafer.export.graph import OPSET, onnx_bytes
from mpafer.export.parity import Parity, parity
from mpafer.inference.classifiers import ModelClassifier
from mpafer.inference.face_template import run_template
from mpafer.inference.kept import load, shown_names
from mpafer.inference.onnx_file import FORMAT, OnnxFile
from mpafer.inference.saved import build_run, read_run
from mpafer.prompting.model import FrozenClip

logger = logging.getLogger(__name__)


def export_onnx(
    run: str | Path | FrozenClip, file: str | Path, *, epoch: int | None = None, backbone: str = ""
) -> Parity:
    """Write a trained model as an ONNX file, in float32 whatever the run computed in.

    Args:
        run: a run's output folder, a file of `mpafer.save`, or a model in float32 and eval mode, on the CPU.
        file: what is written, or replaced; whole or not at all.
        epoch, backbone: of a run's folder, as `mpafer.load_run` has them.

    Returns:
        How far the file's answers are from torch's.

    Raises:
        OptionError: the method has no fixed text features, the model is none as above, or its images go through a
            transform that readers of the file do not know.
        MissingFileError, CheckpointError: as `mpafer.load_run`.
        MissingPackageError: onnx, onnxscript or onnxruntime is not installed.
        ExportError: torch cannot translate the model, or the file answers otherwise than torch; no file is left.
    """
    file = Path(file).expanduser()
    if file.is_dir():
        raise OptionError(f"--onnx {file} is a folder: name a file in it")
    if isinstance(run, FrozenClip):
        return _write(run, file, {})
    path = Path(run).expanduser()
    source = "/".join(path.resolve().parts[-4:])  # enough to tell it by, and not where it lay
    if path.is_file():
        return _write(load(path, backbone=backbone, prec="fp32"), file, {"run": source})
    saved = read_run(path, epoch)
    model, _ = build_run(saved, backbone=backbone, prec="fp32")
    return _write(model, file, {"run": source, "epoch": saved.epochs, "template": _template(path)})


def _write(model: FrozenClip, file: Path, source: dict[str, Any]) -> Parity:
    if model.training or model.precision != "fp32" or model.clip.device.type != "cpu":
        raise OptionError("a model is exported in float32 (prec='fp32'), from the CPU, and in eval mode: model.eval()")
    recipe = model.recipe or {}
    method = recipe.get("method", type(model).__name__)
    try:
        fixed = model.with_fixed_classes()
    except OptionError as error:
        raise OptionError(f"{method} cannot be exported: {error}") from error
    about = {
        "format": FORMAT,
        "mpafer": package_version("mpafer"),
        "opset": OPSET,
        "method": method,
        "classnames": shown_names(model),
        "backbone": f"{_without_folders(model.clip.name)} {model.clip.fingerprint}",
        "dataset": recipe.get("dataset") or "",
        "template": recipe.get("template"),
        "note": ModelClassifier(model).note,
        **_preprocessing(model),
        **source,
    }
    content = onnx_bytes(fixed, about)
    found = parity(model, OnnxFile.of(content, file))
    if file.parent.is_dir():
        prune_temporary(file.parent)
    with atomic_file(file) as out:
        out.write(content)
    return found


def _template(run: Path) -> dict[str, Any] | None:
    """Where a run's predictor brings eyes and mouth to."""
    try:
        return asdict(run_template(run))
    except MissingPackageError as error:
        logger.warning("The file does not say where the training images have eyes and mouth: %s", error)
        return None


def _preprocessing(model: FrozenClip) -> dict[str, Any]:
    """How an image is prepared: as in the run's test, or else as CLIP itself does it."""
    size = model.clip.visual.image_size
    node = (model.recipe or {}).get("input") or {"INTERPOLATION": "bicubic", "TRANSFORMS": ["normalize"]}
    if unknown := set(node["TRANSFORMS"]) - {"normalize"}:
        raise OptionError(f"INPUT.TRANSFORMS has {', '.join(unknown)}, which readers of ONNX files do not know")
    mean, std = node.get("PIXEL_MEAN", PIXEL_MEAN), node.get("PIXEL_STD", PIXEL_STD)
    normalised = "normalize" in node["TRANSFORMS"]
    return {
        "size": size,
        "interpolation": node["INTERPOLATION"],
        "resize": f"shorter side to {size}, {node['INTERPOLATION']}, as Pillow; then the central {size} x {size}",
        "mean": list(mean) if normalised else [0.0] * 3,
        "std": list(std) if normalised else [1.0] * 3,
    }


def _without_folders(name: str) -> str:
    """Of a file its own name; ViT-B/16 and the like as they are."""
    path = Path(name).expanduser()
    return path.name if path.is_file() else name
