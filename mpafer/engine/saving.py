"""Saving, loading and resuming a run, under Dassl's file names."""

from __future__ import annotations

from pathlib import Path

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
from mpafer.engine.contents import checked, load_weights
from mpafer.engine.state import RunState


def checkpoint_folder(run: str | Path) -> Path:
    """Where a run keeps its checkpoints."""
    return Path(run) / "prompts"


def save(run: RunState, *, val_result: float | None = None, best: bool = False) -> None:
    """Write what was trained, after an epoch; ``best``: as model-best.pth.tar, beside the series. Rank 0 only."""
    if not distributed.is_main() or run.trained is None:
        return
    epochs = run.epoch + 1
    over = epochs >= run.max_epoch  # a finished run needs no momenta, which are as large as the weights
    state = {
        "state_dict": run.trained.state_dict(),
        "epoch": epochs,
        "optimizer": None if over else run.optim.state_dict(),
        "scheduler": run.sched.state_dict(),
        "val_result": None if val_result is None else float(val_result),
        "extra": {"rng": rng_state()} | run.extra_state(),
    }
    name = "model-best.pth.tar" if best else ""
    run.checkpoint = save_checkpoint(state, checkpoint_folder(run.output_dir), epoch=epochs, model_name=name)
    run.trained_epochs = epochs


def load(run: RunState, folder: str | Path, epoch: int | None = None) -> None:
    """Load, strictly, the weights after ``epoch`` epochs of a run; by default the best ones, or else the last.

    Raises:
        OptionError: no run is named.
        CheckpointError: it is another method's, backbone's or data set's, or damaged.
        MissingFileError: no such checkpoint.
    """
    if run.trained is None:
        return
    if not folder:
        raise OptionError("no trained weights are named: give the run's folder (--model-dir)")
    path = find_checkpoint(checkpoint_folder(folder), epoch)
    state = checked(load_checkpoint(path), path)
    run.check_state(state, path, resuming=False)
    load_weights(run.trained, state["state_dict"], path)
    run.checkpoint, run.trained_epochs = path, state["epoch"]
    run.weights_loaded(state, path)
    value = state.get("val_result")
    result = "none" if value is None else f"{value:.1f}"
    print(f"Load {path} (epoch={state['epoch']}, val_result={result})")


def resume(run: RunState, folder: str | Path = "") -> int:
    """Go on from the latest checkpoint of the run's own folder, or of another run's; the epochs it had finished.

    Raises:
        MissingFileError: another run is named, and has no checkpoint.
        CheckpointError: the run had other options.
        OptionError: it had more epochs than this one shall have.
    """
    if folder and not Path(folder).is_dir():
        raise MissingFileError(f"RESUME={folder}: there is no such folder")
    place = checkpoint_folder(folder or run.output_dir)
    epoch = latest_epoch(place)
    if epoch is None:
        if folder:
            raise MissingFileError(f"RESUME={folder}: there is no checkpoint in that folder")
        print("No checkpoint found, train from scratch")
        return 0
    assert run.trained is not None  # else there is nothing to train
    print(f"Found checkpoint at {place.parent} (will resume training)")
    path = checkpoint_path(place, epoch)
    state = checked(load_checkpoint(path), path)
    run.check_state(state, path, resuming=True)
    if epoch > run.max_epoch:
        raise OptionError(f"{place.parent} has {epoch} epochs, OPTIM.MAX_EPOCH={run.max_epoch}")
    load_weights(run.trained, state["state_dict"], path)
    run.checkpoint, run.trained_epochs = path, epoch
    if state["optimizer"] is not None:
        run.optim.load_state_dict(state["optimizer"])
    run.sched.load_state_dict(state["scheduler"])
    set_rng_state(state["extra"]["rng"])
    run.load_extra_state(state["extra"])
    print(f"Previous epoch: {epoch}")
    return epoch
