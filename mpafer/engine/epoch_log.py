"""What is told of an epoch's steps: Dassl's lines, and every step in TensorBoard."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Mapping

from torch import Tensor
from tqdm import tqdm

from mpafer.engine.log import AverageMeter, MetricMeter
from mpafer.engine.state import RunState


class EpochLog:
    """What an epoch's steps gave: Dassl's line every PRINT_FREQ batches, and every step in TensorBoard.

    Reading a loss waits for the device, so it is done for many steps at once.
    """

    def __init__(self, run: RunState) -> None:
        self.run = run
        self.losses, self.batch_time, self.data_time = MetricMeter(), AverageMeter(), AverageMeter()
        self.every = min(run.cfg.TRAIN.PRINT_FREQ, run.num_batches + 1)
        self.steps: list[tuple[Mapping[str, Tensor], float, int]] = []  # not written yet: values, rate, batch
        self.end = time.time()

    def batch_arrived(self) -> None:
        self.data_time.update(time.time() - self.end)

    def step_done(self, values: Mapping[str, Tensor]) -> None:
        batch, batches = self.run.batch_idx, self.run.num_batches
        self.steps.append((values, self.rate, batch))
        if printing := (batch + 1) % self.every == 0 or batches < self.every:
            self.write()
        self.batch_time.update(time.time() - self.end)
        if printing:
            with tqdm.external_write_mode(file=sys.stdout):  # keep the bar out of the line's way
                print(self.line())
        self.end = time.time()

    def write(self) -> None:
        """Enter the steps so far into meters and TensorBoard."""
        self.run.loss_check.raise_if_broken()
        for values, rate, batch in self.steps:
            step = self.run.epoch * self.run.num_batches + batch
            self.losses.update(values)
            for name, meter in self.losses.meters.items():
                self.run.tensorboard.write(f"train/{name}", meter.avg, step)
            self.run.tensorboard.write("train/lr", rate, step)
        self.steps.clear()

    @property
    def rate(self) -> float:
        return self.run.optim.param_groups[0]["lr"]

    def line(self) -> str:
        run = self.run
        left = (run.max_epoch - run.epoch) * run.num_batches - run.batch_idx - 1
        return (
            f"epoch [{run.epoch + 1}/{run.max_epoch}] "
            f"batch [{run.batch_idx + 1}/{run.num_batches}] "
            f"time {self.batch_time.val:.3f} ({self.batch_time.avg:.3f}) "
            f"data {self.data_time.val:.3f} ({self.data_time.avg:.3f}) "
            f"{self.losses} "
            f"lr {self.rate:.4e} "
            f"eta {datetime.timedelta(seconds=int(self.batch_time.avg * left))}"
        )
