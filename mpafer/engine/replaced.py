"""A run in the place of another one: what lies there is refused or moved aside, never lost."""

from __future__ import annotations

from pathlib import Path

from mpafer.common.errors import CheckpointError, DataError, OptionError
from mpafer.common.identity import LEARNED, differences, listed, made_of_differences
from mpafer.engine.checkpoint import checkpoint_path, latest_epoch, load_checkpoint
from mpafer.engine.contents import checked
from mpafer.engine.saving import checkpoint_folder
from mpafer.engine.state import RunState
from mpafer.results.schema import FACE_TEMPLATE, REPLACED, RESULTS, SCORES, RunResult


def refuse_another(run: RunState) -> None:
    """Raises OptionError where the run's folder holds the results of another one, which this one would overwrite.

    Where there is a checkpoint too, resuming compares with that.
    """
    folder = Path(run.output_dir)
    if latest_epoch(checkpoint_folder(folder)) is None and (why := _of_results(run, folder / RESULTS)):
        raise OptionError(f"{folder} holds another run's results ({why}): name another --output-dir, or --force")


def set_aside_another(run: RunState) -> None:
    """Where the run's folder holds results or checkpoints of other options, data or seed, move them into replaced/1.

    Then the run begins anew, as in an empty folder.
    """
    folder = Path(run.output_dir)
    why = _of_results(run, folder / RESULTS) or _of_checkpoint(run)
    if not why:
        return
    place = folder / REPLACED / str(1 + sum(1 for _ in folder.glob(f"{REPLACED}/*")))
    place.mkdir(parents=True)
    own = checkpoint_folder(folder)
    kept = {own.name} if run.checkpoint and run.checkpoint.parent == own else set()  # they are being evaluated
    for name in {RESULTS, SCORES, FACE_TEMPLATE, own.name, "tensorboard"} - kept:
        if (folder / name).exists():
            (folder / name).rename(place / name)
    print(f"Another run's files ({why}) are now in {place}")


def _of_results(run: RunState, file: Path) -> str:
    if not file.is_file():
        return ""
    try:
        result = RunResult.read(file)
    except DataError as error:
        return str(error)
    if result.trainer != type(run).__name__:
        return f"of {result.trainer}"
    found = differences(result.config, run.cfg) | made_of_differences(result.made_of, run.made_of)
    theirs, ours = result.made_of.get(LEARNED), run.made_of.get(LEARNED)
    if theirs and ours and theirs != ours:
        found["learned weights"] = (theirs, ours)
    return listed(found)


def _of_checkpoint(run: RunState) -> str:
    place = checkpoint_folder(run.output_dir)
    if run.trained is None or (epoch := latest_epoch(place)) is None:
        return ""
    path = checkpoint_path(place, epoch)
    try:
        run.check_state(checked(load_checkpoint(path), path), path, resuming=True)
    except CheckpointError as error:
        return str(error)
    return ""
