"""Devices by name."""

from __future__ import annotations

import torch

from mpafer.common.errors import OptionError


def chosen_device(name: str = "") -> torch.device:
    """`named_device`; "" = a GPU where there is one, else the processors."""
    return named_device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def named_device(name: str | torch.device) -> torch.device:
    """A device that is here: cpu, cuda, cuda:1, mps and what else torch has.

    Raises:
        OptionError: there is none of this name, or not on this machine.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        gpus = torch.cuda.device_count()
        here = f"cpu and {gpus} GPUs (cuda, cuda:0, ...)" if gpus else "cpu; torch finds no GPU"
        raise OptionError(f"no device {str(name)!r} here: there is {here}") from error
    if device.type == "meta":
        raise OptionError("the device 'meta' holds no values: take cpu or cuda")
    return device
