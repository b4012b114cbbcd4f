"""Files of tensors, read without running anything in them; and what is wrong with one, in words of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mpafer.common.errors import DataError
from mpafer.common.kinds import damaged_part, foreign_kind, is_safetensors, is_torchscript

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def read_tensors(path: Path, wanted: str, map_location: Any = "cpu", *, checksums: bool = False) -> Any:
    """What torch.save or safetensors wrote, whatever the file is named: tensors and plain values only.

    Args:
        path: the file.
        wanted: what it should be, for the message.
        map_location: where the tensors go.
        checksums: also refuse an archive with a wrong one; torch itself looks at none, and may have written none.

    Raises:
        DataError: it is something else, and what; or damaged, or holds objects.
    """
    if what := foreign_kind(path):
        raise unreadable(path, wanted, f"it is {what}")
    if is_torchscript(path):
        raise unreadable(path, wanted, "it is a TorchScript archive, a program and its weights")
    if checksums and (part := damaged_part(path)):
        raise unreadable(path, wanted, f"it is damaged, {part} has another checksum than when it was written")
    try:
        if is_safetensors(path):
            from safetensors.torch import load_file

            return load_file(path, device=str(map_location))
        with path.open("rb") as file:  # by a path's ending torch would choose the format
            return torch.load(file, map_location=map_location, weights_only=True)
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.filename:
            raise
        raise unreadable(path, wanted, _reason(error)) from error


def unreadable(path: Path, wanted: str, reason: str) -> DataError:
    """The error on a file that is not what it should be."""
    return DataError(f"{path} ({path.stat().st_size:,} bytes) cannot be read as {wanted}: {reason}")


def first_nonfinite(state: Mapping[str, Any]) -> str:
    """Name of the first tensor that holds NaN or infinity, "" where there is none."""
    for key, value in state.items():
        if isinstance(value, Tensor) and value.is_floating_point() and value.numel() and not _is_finite(value):
            return key
    return ""


def is_plain(value: Any) -> bool:
    """Whether a value is a tensor as modules hold them: dense, and neither quantised nor of 8-bit floats."""
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized:
        return False
    return value.dtype in FLOATS or not value.is_floating_point()


def _is_finite(value: Tensor) -> bool:
    if value.element_size() < 4:  # older versions of torch know no extremes of half precision on a CPU
        value = value.float()
    return bool(torch.stack(torch.aminmax(value)).isfinite().all())  # much faster than to ask every value


def _reason(error: Exception) -> str:
    """Torch's messages advise to switch its safety off: none of their words are passed on but an object's name."""
    if not (named := re.search(r"GLOBAL ([\w.]+)", str(error))):
        return "it is damaged or cut short: copy or download it again"
    return (
        f"it holds more than the tensors and plain values that are read here ({named[1]}), and objects could run code; "
        "save the tensors alone, as torch.save(model.state_dict(), ...) does"
    )
