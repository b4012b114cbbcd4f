"""The seed of a run that was started without one."""

from __future__ import annotations

import secrets
from pathlib import Path

from mpafer.common import distributed
from mpafer.common.errors import CheckpointError, OptionError
from mpafer.common.files import atomic_file
from mpafer.common.ranges import MAX_SEED
from mpafer.engine.checkpoint import checkpoint_path, latest_epoch, load_checkpoint
from mpafer.engine.saving import checkpoint_folder


def run_seed(run: str | Path) -> int:
    """Drawn once and kept in the run's folder, so that a resumed run has it again; the same on all ranks.

    Raises:
        OptionError: the kept one cannot be read, and the run's checkpoint does not tell it either.
    """
    return distributed.from_main(_kept_or_drawn(Path(run)) if distributed.is_main() else 0)


def _kept_or_drawn(run: Path) -> int:
    path = run / "seed.txt"
    text = path.read_text(errors="replace").strip() if path.is_file() else ""
    whole = text.isascii() and text.isdigit() and path.read_bytes().endswith(b"\n")  # else it may be cut short
    if whole and len(text) <= len(str(MAX_SEED)) and int(text) <= MAX_SEED:
        return int(text)
    seed = _of_checkpoint(run, path)
    if path.is_file():
        print(f"* {path} holds no whole seed: mended, it is {seed}")
    with atomic_file(path) as file:
        file.write(f"{seed}\n".encode())
    return seed


def _of_checkpoint(run: Path, path: Path) -> int:
    """The seed that the latest checkpoint tells; without a checkpoint nothing depends on it, and it is drawn anew."""
    place = checkpoint_folder(run)
    epoch = latest_epoch(place)
    if epoch is None:
        return secrets.randbits(31)
    checkpoint = checkpoint_path(place, epoch)
    try:
        return int(load_checkpoint(checkpoint)["extra"]["seed"])
    except (CheckpointError, KeyError, TypeError, ValueError) as error:
        raise OptionError(
            f"{path} holds no seed, and {checkpoint} does not tell it either: give the run's --seed, or another "
            "--output-dir"
        ) from error
