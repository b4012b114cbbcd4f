"""The skeleton of a trainer: the loop and its hooks, saving, loading, resuming, TensorBoard."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mpafer.engine import distributed
from mpafer.engine.builtin.models import TrainedModels
from mpafer.engine.builtin.utils import MetricMeter
from mpafer.engine.checkpoint import (
    checkpoint_path,
    find_checkpoint,
    latest_epoch,
    load_checkpoint,
    rng_state,
    save_checkpoint,
    set_rng_state,
)


class TrainerBase(TrainedModels):
    """A training loop with hooks over any number of registered models. The method names are Dassl's."""

    start_epoch = 0
    checkpoint: Path | None = None  # the file whose weights the models have, and the epochs that made them
    trained_epochs = 0
    train_seconds = 0.0  # in run_epoch, over all processes of the run

    def __init__(self) -> None:
        super().__init__()
        self._writer: Any = None

    # --- saving and loading

    def extra_state(self) -> dict[str, Any]:
        """What a resumed run needs beside models, optimisers and schedules; plain values and tensors only."""
        return {"rng": rng_state(), "scaler": self.scaler.state_dict(), "train_seconds": self.train_seconds}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        set_rng_state(state["rng"])
        self.scaler.load_state_dict(state["scaler"])
        self.train_seconds = state["train_seconds"]

    def check_state(self, state: dict[str, Any], path: Path, resuming: bool) -> None:
        """A trainer's place to refuse a checkpoint (read from ``path``) that it cannot load, or not go on from."""

    def save_model(
        self,
        epoch: int,
        directory: str,
        is_best: bool = False,
        val_result: float | None = None,
        model_name: str = "",
    ) -> None:
        """Save every model after ``epoch`` (counted from 0) into ``directory``/<name>; rank 0 only."""
        if not distributed.is_main():
            return
        for name, model in self._models.items():
            optim, sched = self._optims[name], self._scheds[name]
            over = epoch + 1 >= self.max_epoch  # a finished run needs no momenta, which are as large as the weights
            state = {
                "state_dict": model.state_dict(),
                "epoch": epoch + 1,
                "optimizer": None if over else optim and optim.state_dict(),
                "scheduler": sched and sched.state_dict(),
                "val_result": None if val_result is None else float(val_result),
                "extra": self.extra_state(),
            }
            folder = Path(directory) / name
            self.checkpoint = save_checkpoint(state, folder, epoch=epoch + 1, is_best=is_best, model_name=model_name)
            self.trained_epochs = epoch + 1

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """Load, strictly, the weights after ``epoch`` epochs; by default the best ones, or else the last."""
        names = self.get_model_names()
        if names and not directory:
            raise ValueError("no trained weights are named: give the run's folder (--model-dir)")
        for name in names:
            path = find_checkpoint(Path(directory) / name, epoch)
            state = load_checkpoint(path)
            self.check_state(state, path, resuming=False)
            self._models[name].load_state_dict(state["state_dict"])
            self.checkpoint, self.trained_epochs = path, state["epoch"]
            result = "none" if state["val_result"] is None else f"{state['val_result']:.1f}"
            print(f"Load {path} to {name} (epoch={state['epoch']}, val_result={result})")

    def resume_model_if_exist(self, directory: str) -> int:
        """Go on from the latest checkpoints in ``directory``; returns the number of finished epochs."""
        names = self.get_model_names()
        epochs = [latest_epoch(Path(directory) / name) for name in names]
        found = [epoch for epoch in epochs if epoch is not None]
        if not found or len(found) < len(names):
            print("No checkpoint found, train from scratch")
            return 0
        print(f"Found checkpoint at {directory} (will resume training)")
        epoch = min(found)  # killed between two models' files, a run has the earlier epoch of both
        for name in names:
            path = checkpoint_path(Path(directory) / name, epoch)
            state = load_checkpoint(path)
            self.check_state(state, path, resuming=True)
            self._models[name].load_state_dict(state["state_dict"])
            self.checkpoint, self.trained_epochs = path, epoch
            for part, saved in ((self._optims[name], "optimizer"), (self._scheds[name], "scheduler")):
                if part is not None and state[saved] is not None:
                    part.load_state_dict(state[saved])
        self.load_extra_state(state["extra"])
        print(f"Previous epoch: {epoch}")
        return epoch

    # --- TensorBoard

    def init_writer(self, log_dir: str) -> None:
        if self._writer is None and distributed.is_main():
            from torch.utils.tensorboard import SummaryWriter  # slow to import, not needed for evaluation

            print(f"Initialize tensorboard (log_dir={log_dir})")
            self._writer = SummaryWriter(log_dir=log_dir)

    def close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def write_scalar(self, tag: str, scalar_value: float, global_step: int | None = None) -> None:
        """Does nothing before init_writer()."""
        if self._writer is not None:
            self._writer.add_scalar(tag, scalar_value, global_step)

    def log_steps(self, steps: list[tuple[Any, float, int]], meters: MetricMeter) -> None:
        """Enter steps (what forward_backward() gave, learning rate, batch) into meters and TensorBoard; empties them.

        Reading a loss waits for the device, so it is done for many steps at once.
        """
        self.check_losses()
        for values, rate, batch in steps:
            step = self.epoch * self.num_batches + batch
            meters.update(values)
            for name, meter in meters.meters.items():
                self.write_scalar(f"train/{name}", meter.avg, step)
            self.write_scalar("train/lr", rate, step)
        steps.clear()

    # --- the loop

    def train(self, start_epoch: int, max_epoch: int) -> None:
        self.start_epoch, self.max_epoch = start_epoch, max_epoch
        self.before_train()
        for epoch in range(self.start_epoch, self.max_epoch):
            self.epoch = epoch
            self.before_epoch()
            start = time.perf_counter()
            self.run_epoch()
            self.check_losses()  # no checkpoint of a broken run
            self.train_seconds += time.perf_counter() - start
            self.after_epoch()
        self.after_train()

    def before_train(self) -> None: ...

    def after_train(self) -> None: ...

    def before_epoch(self) -> None: ...

    def after_epoch(self) -> None: ...

    def run_epoch(self) -> None:
        raise NotImplementedError
