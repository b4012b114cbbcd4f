"""From a model to the bytes of an ONNX file."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from packaging.version import Version
from torch import Tensor, nn

from mpafer.common.errors import ExportError, MissingPackageError
from mpafer.inference.onnx_file import NEEDED, seal
from mpafer.prompting.model import FrozenClip

OPSET = 18  # what torch's exporter itself writes; onnxruntime 1.14 and later run it
TORCH = "2.6"  # its exporter by torch.export, as it is called here
LIMIT = 2**31  # bytes; protobuf holds no more


class Answers(nn.Module):
    """Images [B, 3, S, S] -> logits [B, C] and probabilities [B, C]."""

    def __init__(self, model: FrozenClip) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.model(images).logits
        return logits, logits.softmax(dim=1)


def onnx_bytes(model: FrozenClip, about: Mapping[str, Any]) -> bytes:
    """A model as a sealed ONNX file, whose batch may have any size.

    Args:
        model: as `FrozenClip.with_fixed_classes` gives it, in eval mode.
        about: what the file says of itself, by name.

    Raises:
        MissingPackageError: onnx or onnxscript is not installed, or torch is too old.
        ExportError: torch cannot translate its forward, or it is too large for a file.
    """
    if Version(torch.__version__) < Version(TORCH):
        raise MissingPackageError(f"mpafer export needs torch {TORCH} or later, this is {torch.__version__}")
    try:
        import onnx
        import onnxruntime  # noqa: F401  (the comparison asks for it, after the long part)
        import onnxscript  # noqa: F401  (torch asks for it)
    except ImportError as error:
        raise MissingPackageError(f"mpafer export {NEEDED}") from error
    size = model.clip.visual.image_size
    images = torch.zeros(2, 3, size, size)
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                Answers(model).eval(), (images,), dynamo=True, opset_version=OPSET, verbose=False,
                input_names=["images"], output_names=["logits", "probabilities"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )  # fmt: skip
    except torch.onnx.OnnxExporterError as error:
        reason = " ".join(f"{error.__cause__ or error}".split())[:300]
        raise ExportError(
            f"torch cannot translate the forward of {type(model).__name__} into ONNX: {reason}"
        ) from error
    assert program is not None
    proto: onnx.ModelProto = program.model_proto
    for part in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output, proto.graph):
        del part.metadata_props[:]  # torch's traces, with the paths of this machine's files
    proto.producer_name, proto.producer_version = "mpafer", about["mpafer"]
    onnx.helper.set_model_props(proto, {key: json.dumps(value) for key, value in about.items()})
    if proto.ByteSize() >= LIMIT:
        raise ExportError(f"the image tower of {model.clip.name} has more than 2 GiB, which one ONNX file cannot hold")
    return seal(proto.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch and onnxscript say of their own inner steps."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
