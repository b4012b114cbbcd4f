"""Saving, loading and resuming a trainer, under Dassl's file names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mpafer.common import distributed
from mpafer.common.errors import MissingFileError, OptionError
from mpafer.engine.checkpoint import (
    checkpoint_path,
    find_checkpoint,
    latest_epoch,
    load_checkpoint,
    rng_state,
    save_checkpoint,
    set_rng_state,
)

if TYPE_CHECKING:
    from mpafer.engine.trainer import Trainer


def checkpoint_folder(run: str | Path) -> Path:
    """Where a run keeps its checkpoints."""
    return Path(run) / "prompts"


def save(trainer: Trainer, *, val_result: float | None = None, best: bool = False) -> None:
    """Write what was trained, after an epoch; ``best``: as model-best.pth.tar, beside the series. Rank 0 only."""
    if not distributed.is_main() or trainer.trained is None:
        return
    epochs = trainer.epoch + 1
    over = epochs >= trainer.max_epoch  # a finished run needs no momenta, which are as large as the weights
    state = {
        "state_dict": trainer.trained.state_dict(),
        "epoch": epochs,
        "optimizer": None if over else trainer.optim.state_dict(),
        "scheduler": trainer.sched.state_dict(),
        "val_result": None if val_result is None else float(val_result),
        "extra": {"rng": rng_state()} | trainer.extra_state(),
    }
    name = "model-best.pth.tar" if best else ""
    trainer.checkpoint = save_checkpoint(state, checkpoint_folder(trainer.output_dir), epoch=epochs, model_name=name)
    trainer.trained_epochs = epochs


def load(trainer: Trainer, run: str | Path, epoch: int | None = None) -> None:
    """Load, strictly, the weights after ``epoch`` epochs of a run; by default the best ones, or else the last.

    Raises:
        OptionError: no run is named.
        CheckpointError: it is another method's, backbone's or data set's.
        MissingFileError: no such checkpoint.
    """
    if trainer.trained is None:
        return
    if not run:
        raise OptionError("no trained weights are named: give the run's folder (--model-dir)")
    path = find_checkpoint(checkpoint_folder(run), epoch)
    state = load_checkpoint(path)
    trainer.check_state(state, path, resuming=False)
    trainer.trained.load_state_dict(state["state_dict"])
    trainer.checkpoint, trainer.trained_epochs = path, state["epoch"]
    result = "none" if state["val_result"] is None else f"{state['val_result']:.1f}"
    print(f"Load {path} (epoch={state['epoch']}, val_result={result})")


def resume(trainer: Trainer, run: str | Path = "") -> int:
    """Go on from the latest checkpoint of the trainer's own folder, or of another run's; the epochs it had finished.

    Raises:
        MissingFileError: another run is named, and has no checkpoint.
        CheckpointError: the run had other options.
        OptionError: it had more epochs than this one shall have.
    """
    if run and not Path(run).is_dir():
        raise MissingFileError(f"RESUME={run}: there is no such folder")
    place = checkpoint_folder(run or trainer.output_dir)
    epoch = latest_epoch(place)
    if epoch is None:
        if run:
            raise MissingFileError(f"RESUME={run}: there is no checkpoint in that folder")
        print("No checkpoint found, train from scratch")
        return 0
    assert trainer.trained is not None  # else there is nothing to train
    print(f"Found checkpoint at {place.parent} (will resume training)")
    path = checkpoint_path(place, epoch)
    state = load_checkpoint(path)
    trainer.check_state(state, path, resuming=True)
    if epoch > trainer.max_epoch:
        raise OptionError(f"{place.parent} has {epoch} epochs, OPTIM.MAX_EPOCH={trainer.max_epoch}")
    trainer.trained.load_state_dict(state["state_dict"])
    trainer.checkpoint, trainer.trained_epochs = path, epoch
    if state["optimizer"] is not None:
        trainer.optim.load_state_dict(state["optimizer"])
    trainer.sched.load_state_dict(state["scheduler"])
    set_rng_state(state["extra"]["rng"])
    trainer.load_extra_state(state["extra"])
    print(f"Previous epoch: {epoch}")
    return epoch
