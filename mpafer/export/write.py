"""A run, or a model, written as one ONNX file, compared with torch before it is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mpafer.clip.backbone import PIXEL_MEAN, PIXEL_STD
from mpafer.common.errors import ExportError, OptionError
from mpafer.common.files import atomic_file, prune_temporary
from mpafer.common.versions import package_version
from mpafer.export.graph import OPSET, onnx_bytes
from mpafer.export.parity import Parity, parity
from mpafer.inference.onnx_file import FORMAT, OnnxFile
from mpafer.inference.saved import build_run, read_run
from mpafer.inputs.transforms import INTERPOLATION_MODES
from mpafer.prompting.model import FrozenClip

DRAWN = "Trained on drawn faces only: the answers say nothing about photographs."


def export_onnx(run: str | Path, file: str | Path, *, epoch: int | None = None, backbone: str = "") -> Parity:
    """Write a finished run's model as an ONNX file, in float32 whatever the run computed in.

    Args:
        run: the run's output folder.
        file: what is written, or replaced.
        epoch: which checkpoint; default the best one, or else the last.
        backbone: name or path of CLIP's weights, where they are not where the run had them.

    Returns:
        How far its answers are from torch's.

    Raises:
        OptionError: the method has no fixed text features, or a transform that readers of the file do not know.
        MissingFileError, CheckpointError: as `mpafer.inference.saved.load_run`.
        MissingPackageError: onnx, onnxscript or onnxruntime is not installed.
        ExportError: torch cannot translate the model, or the file answers otherwise than torch; no file is left.
    """
    from mpafer.run_config import find_method

    saved = read_run(run, epoch)
    config = saved.cfg.clone()
    config.TRAINER[find_method(saved.method).node].PREC = "fp32"
    model, _ = build_run(replace(saved, cfg=config), backbone=backbone)
    inputs = config.INPUT
    if "instance_norm" in inputs.TRANSFORMS:
        raise OptionError("INPUT.TRANSFORMS has instance_norm, which readers of ONNX files do not know")
    normalised = "normalize" in inputs.TRANSFORMS
    drawn = config.DATASET.NAME.startswith("SketchFER") or model.clip.known_tokens is not None
    about = {
        "method": saved.method,
        "run": "/".join(Path(run).expanduser().resolve().parts[-4:]),
        "dataset": config.DATASET.NAME,
        "epoch": saved.epochs,
        "note": DRAWN if drawn else "",
    }
    return export_model(
        model, file, interpolation=inputs.INTERPOLATION, mean=inputs.PIXEL_MEAN if normalised else (0, 0, 0),
        std=inputs.PIXEL_STD if normalised else (1, 1, 1), about=about,
    )  # fmt: skip


def export_model(
    model: FrozenClip,
    file: str | Path,
    *,
    interpolation: str = "bicubic",
    mean: Sequence[float] = PIXEL_MEAN,
    std: Sequence[float] = PIXEL_STD,
    about: Mapping[str, Any] | None = None,
) -> Parity:
    """Write a model as an ONNX file.

    Args:
        model: in float32 and eval mode, on the CPU.
        file: what is written, or replaced; whole or not at all.
        interpolation: ``bilinear``, ``bicubic`` or ``nearest``: how images are resized to the model's size.
        mean: of each channel, subtracted from values in 0..1.
        std: of each channel, which they are divided by then.
        about: more for the file to say of itself, by name: what JSON can hold; ``note`` is shown with every answer.

    Returns:
        How far its answers are from torch's.

    Raises:
        OptionError: the model has no fixed text features, or is none as above.
        MissingPackageError: onnx, onnxscript or onnxruntime is not installed.
        ExportError: torch cannot translate the model, or the file answers otherwise than torch; no file is left.
    """
    file, method = Path(file).expanduser(), (about or {}).get("method", type(model).__name__)
    if model.training or model.precision != "fp32" or model.clip.device.type != "cpu":
        raise OptionError("a model is exported in float32 (prec='fp32'), from the CPU, and in eval mode: model.eval()")
    if interpolation not in INTERPOLATION_MODES:
        raise OptionError(f"interpolation is {interpolation!r}, expected one of {', '.join(INTERPOLATION_MODES)}")
    if file.is_dir():
        raise OptionError(f"--onnx {file} is a folder: name a file in it")
    try:
        fixed = model.with_fixed_classes()
    except OptionError as error:
        raise OptionError(f"{method} cannot be exported: {error}") from error
    size = model.clip.visual.image_size
    written = {
        "format": FORMAT,
        "mpafer": package_version("mpafer"),
        "opset": OPSET,
        "classnames": model.classnames,
        "size": size,
        "resize": f"shorter side to {size}, {interpolation}, as Pillow; then the central {size} x {size}",
        "interpolation": interpolation,
        "mean": list(mean),
        "std": list(std),
        "backbone": f"{_without_folders(model.clip.name)} {model.clip.fingerprint}",
        "method": method,
        "note": "",
        **(about or {}),
    }
    content = onnx_bytes(fixed, written)
    found = parity(model, OnnxFile.of(content, file))
    prune_temporary(file.parent)
    with atomic_file(file) as out:
        out.write(content)
    return found


def _without_folders(name: str) -> str:
    """Of a file its own name, which tells nobody where it lay; ViT-B/16 and the like as they are."""
    path = Path(name).expanduser()
    return path.name if path.is_file() else name
