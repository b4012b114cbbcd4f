"""Checkpoints under Dassl's file names, written atomically and read with ``weights_only=True``.

A model's folder holds ``model.pth.tar-<epoch>`` files, ``model-best.pth.tar`` where a best epoch is kept, and
the text file ``checkpoint`` that names the latest one. The text file is replaced only after the new
checkpoint is on disk, and old ones go only after that, so a killed run always leaves a whole latest
checkpoint.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mpafer.common.errors import CheckpointError, DataError, MissingFileError
from mpafer.common.files import atomic_file, prune_temporary
from mpafer.common.tensors import read_tensors

BEST = "model-best.pth.tar"
_POINTER = "checkpoint"
_PREFIX = "model.pth.tar-"


def checkpoint_path(directory: str | Path, epoch: int | None = None) -> Path:
    """The file of ``epoch`` (number of finished epochs), or of the best epoch where none is given."""
    return Path(directory) / (BEST if epoch is None else f"{_PREFIX}{epoch}")


def save_checkpoint(
    state: dict[str, Any], directory: str | Path, *, epoch: int, is_best: bool = False, model_name: str = ""
) -> Path:
    """Write ``state`` as the latest checkpoint of ``directory``.

    Args:
        state: tensors and plain values.
        directory: made if it is not there.
        epoch: number of finished epochs.
        is_best: write model-best.pth.tar as well.
        model_name: name of the file, which then is not in the series and never the latest.

    Returns:
        The path of the checkpoint.
    """
    directory = Path(directory)
    path = directory / model_name if model_name else checkpoint_path(directory, epoch)
    written = io.BytesIO()  # torch hides what goes wrong with a file, as a full disk
    torch.save(state, written)
    for target in [path, checkpoint_path(directory)] if is_best else [path]:
        with atomic_file(target) as file:
            file.write(written.getbuffer())
    if not model_name:
        with atomic_file(directory / _POINTER) as file:
            file.write(f"{path.name}\n".encode())
    print(f"Checkpoint saved to {path}")
    return path


def latest_epoch(directory: str | Path) -> int | None:
    """Finished epochs of the latest checkpoint in ``directory``, None where there is none.

    It is the one that the text file names; without that file, or where it is torn, the one of the most epochs.
    """
    pointer = Path(directory) / _POINTER
    name = pointer.read_text(errors="replace").strip() if pointer.is_file() else ""
    saved = saved_epochs(directory)
    named = (epoch for epoch in saved if name == f"{_PREFIX}{epoch}")
    return next(named, max(saved, default=None))


def saved_epochs(directory: str | Path) -> list[int]:
    """Epochs whose checkpoints lie in ``directory``, ascending."""
    suffixes = (path.name[len(_PREFIX) :] for path in Path(directory).glob(f"{_PREFIX}*"))
    return sorted(int(suffix) for suffix in suffixes if suffix.isdigit())


def find_checkpoint(directory: str | Path, epoch: int | None = None) -> Path:
    """The file to load: that of ``epoch``, or by default the best epoch's, or else the latest one's."""
    best = checkpoint_path(directory)
    if epoch is None and not best.is_file():
        epoch = latest_epoch(directory)
    return checkpoint_path(directory, epoch)


def prune_checkpoints(directory: str | Path, keep: Callable[[int], bool]) -> None:
    """Remove what killed processes left, and all epochs but the latest and those that ``keep`` accepts."""
    prune_temporary(Path(directory))
    latest = latest_epoch(directory)
    for epoch in saved_epochs(directory):
        if epoch != latest and not keep(epoch):
            checkpoint_path(directory, epoch).unlink()


def load_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint of tensors and plain values; nothing in it is executed.

    Raises:
        MissingFileError: no such file; names what is there instead.
        CheckpointError: the file is cut short, or something else; says what.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise MissingFileError(f"no checkpoint at {path}: there is no such folder; name that of a run")
    if not path.is_file():
        there = ", ".join(sorted(p.name for p in path.parent.glob("model*"))) or "no checkpoint"
        raise MissingFileError(f"no checkpoint at {path}; {path.parent} holds {there}")
    try:
        return read_tensors(path, "a checkpoint", map_location, checksums=True)
    except DataError as error:
        raise CheckpointError(f"{error}; without it a run goes on from an earlier one, or begins anew") from error


def rng_state() -> dict[str, Any]:
    """States of Python's, NumPy's and torch's generators as tensors and numbers."""
    version, keys, gauss = random.getstate()
    numpy: Any = np.random.get_state(legacy=False)
    return {
        "python": {"version": version, "keys": torch.tensor(keys), "gauss": gauss},
        "numpy": {
            "keys": torch.tensor(numpy["state"]["key"].astype(np.int64)),
            "position": int(numpy["state"]["pos"]),
            "has_gauss": int(numpy["has_gauss"]),
            "gauss": float(numpy["gauss"]),
        },
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_rng_state(state: dict[str, Any]) -> None:
    """Restore what rng_state() gave; devices this machine lacks are left out."""
    python, numpy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["keys"].tolist()), python["gauss"]))
    keys = numpy["keys"].cpu().numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, numpy["position"], numpy["has_gauss"], numpy["gauss"]))
    torch.set_rng_state(state["torch"].cpu())
    for device, cuda_state in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(cuda_state.cpu(), device)
