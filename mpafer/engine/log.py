"""What a run says: the log file, its head, running averages, TensorBoard, and losses that are not finite."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import torch
from torch import Tensor

from mpafer.common import distributed
from mpafer.common.errors import UserError
from mpafer.common.versions import versions

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class BrokenLossError(UserError, FloatingPointError):
    """A loss that is infinite or NaN."""


class Tee:
    """A stream that also goes to a file, line by line, so that a killed run leaves its log."""

    def __init__(self, console: TextIO, path: Path) -> None:
        self.console = console
        self.file = open(path, "a", buffering=1, encoding="utf-8")  # noqa: SIM115 - open as long as the stream

    def write(self, text: str) -> int:
        try:
            self.file.write(text)
        except OSError as error:  # a full disk, which does not say where
            error.filename = error.filename or self.file.name
            raise
        return self.console.write(text)

    def flush(self) -> None:
        self.console.flush()
        self.file.flush()

    def __getattr__(self, name: str) -> Any:  # isatty, encoding, fileno ... are the console's
        return getattr(self.console, name)


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


class LossCheck:
    """Looks at many steps' losses at once: looking at each would make every step wait for the device."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, Tensor, Mapping[str, Tensor]]] = []  # where, loss, its terms

    def add(self, where: str, loss: Tensor, terms: Mapping[str, Tensor]) -> None:
        """Note a step's loss and its terms by name; ``where`` is the step's epoch and batch, for the message."""
        self.steps.append((where, loss.detach(), {name: term.detach() for name, term in terms.items()}))

    def raise_if_broken(self) -> None:
        """BrokenLossError that names epoch, batch and terms if a loss since the last call is infinite or NaN."""
        steps, self.steps = self.steps, []
        if not steps or torch.stack([loss.isfinite() for _, loss, _ in steps]).all():
            return
        where, _, terms = next(step for step in steps if not step[1].isfinite())
        values = ", ".join(f"{name}={float(value):g}" for name, value in terms.items())
        raise BrokenLossError(f"Loss is infinite or NaN! {where}: {values}")


class TensorBoard:
    """Writes scalars once it is opened; on rank 0 only."""

    writer: SummaryWriter | None = None

    def open(self, folder: Path) -> None:
        if self.writer is None and distributed.is_main():
            from torch.utils.tensorboard import SummaryWriter  # slow to import, not needed for evaluation

            print(f"Initialize tensorboard (log_dir={folder})")
            self.writer = SummaryWriter(log_dir=str(folder))

    def write(self, tag: str, value: float, step: int) -> None:
        if self.writer is not None:
            self.writer.add_scalar(tag, value, step)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None
