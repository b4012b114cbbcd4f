"""Seeds, the log file and running averages."""

from __future__ import annotations

import os
import random
import secrets
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

from mpafer.engine import distributed
from mpafer.engine.results import versions


def set_random_seed(seed: int) -> None:
    """Seed Python, NumPy and torch; 0 is a seed like any other, a negative one is an error."""
    if seed < 0:
        raise ValueError(f"seed {seed}: expected 0 or more; leave a run unseeded instead of passing a negative seed")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # every device


def derive_seed(*keys: int) -> int:
    """A seed that depends on all keys and their order; put a constant first to keep streams apart."""
    return int(np.random.SeedSequence(keys).generate_state(1)[0])


def draw_run_seed() -> int:
    """A fresh seed for a run without one, the same on all ranks."""
    return distributed.from_main(secrets.randbits(31))


class Tee:
    """A stream that also goes to a file, line by line, so that a killed run leaves its log."""

    def __init__(self, console: TextIO, path: Path) -> None:
        self.console = console
        self.file = open(path, "a", buffering=1, encoding="utf-8")  # noqa: SIM115 - open as long as the stream

    def write(self, text: str) -> int:
        self.file.write(text)
        return self.console.write(text)

    def flush(self) -> None:
        self.console.flush()
        self.file.flush()

    def __getattr__(self, name: str) -> Any:  # isatty, encoding, fileno ... are the console's
        return getattr(self.console, name)


def grad_scaler(device_type: str = "cuda", *, enabled: bool = False) -> Any:
    """torch's loss scaler. torch.amp has it since torch 2.3; the older one is CUDA's alone, and off elsewhere."""
    if hasattr(torch.amp, "GradScaler"):
        return torch.amp.GradScaler(device_type, enabled=enabled)
    return torch.cuda.amp.GradScaler(enabled=enabled and device_type == "cuda")


def setup_logger(output: str | None = None) -> None:
    """Copy standard output into ``output``/log.txt (or the .txt or .log file ``output``) from now on.

    An existing log is appended to. A second call moves on to its own file. Ranks other than 0 do nothing.
    """
    if not output or not distributed.is_main():
        return
    path = Path(output) if output.endswith((".txt", ".log")) else Path(output) / "log.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    console = sys.stdout
    if isinstance(console, Tee):
        console.file.close()
        console = console.console
    sys.stdout = Tee(console, path)


def collect_env_info() -> str:
    """Versions, processors and GPUs, one per line."""
    lines = [f"{name}: {version}" for name, version in versions().items()]
    lines += [f"CPUs: {os.cpu_count()} (torch uses {torch.get_num_threads()} threads)"]
    lines += [f"GPU {i}: {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    return "\n".join(lines)


class AverageMeter:
    """The last value and the running average."""

    def __init__(self) -> None:
        self.val = self.sum = 0.0
        self.count = 0

    @property
    def avg(self) -> float:
        return self.sum / self.count if self.count else 0.0

    def update(self, val: float | torch.Tensor, n: int = 1) -> None:
        self.val = float(val)
        self.sum += self.val * n
        self.count += n


class MetricMeter:
    """An AverageMeter per name; prints as ``loss 0.1234 (0.2345) acc ...``."""

    def __init__(self, delimiter: str = " ") -> None:
        self.meters: dict[str, AverageMeter] = defaultdict(AverageMeter)
        self.delimiter = delimiter

    def update(self, values: Mapping[str, float | torch.Tensor] | None) -> None:
        for name, value in (values or {}).items():
            self.meters[name].update(value)

    def __str__(self) -> str:
        return self.delimiter.join(f"{name} {m.val:.4f} ({m.avg:.4f})" for name, m in self.meters.items())
