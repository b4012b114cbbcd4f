"""The four precisions. Prompts and losses are float32 in all of them."""

from __future__ import annotations

from typing import Any

import torch

PRECISIONS = ("fp32", "fp16", "amp", "bf16")
_WEIGHTS = {"fp16": torch.float16, "bf16": torch.bfloat16}


def weight_dtype(precision: str) -> torch.dtype:
    """Type of the frozen matrices: 16 bits with fp16 and bf16, float32 otherwise."""
    return _WEIGHTS.get(precision, torch.float32)


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """``amp`` computes in float16 on CUDA and in bfloat16 on CPU; a no-op for the other precisions."""
    dtype = torch.float16 if device.type == "cuda" else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype, enabled=precision == "amp")


def needs_scaler(precision: str, device: torch.device) -> bool:
    """float16 gradients underflow and overflow without a loss scaler; bfloat16 and float32 ones do not."""
    return precision == "fp16" or (precision == "amp" and device.type == "cuda")


def grad_scaler(device_type: str = "cuda", *, enabled: bool = False) -> Any:
    """torch's loss scaler. torch.amp has it since torch 2.3; the older one works on CUDA only, and is off elsewhere."""
    if hasattr(torch.amp, "GradScaler"):
        return torch.amp.GradScaler(device_type, enabled=enabled)
    return torch.cuda.amp.GradScaler(enabled=enabled and device_type == "cuda")
