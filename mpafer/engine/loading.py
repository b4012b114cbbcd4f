"""Whether a checkpoint fits a run, and whose weights it evaluates then: also under other class names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from mpafer.common.config import set_value
from mpafer.common.errors import CheckpointError
from mpafer.common.identity import LEARNED, differences, listed, made_of_differences, other_answers
from mpafer.common.sealed import checksum
from mpafer.engine.contents import run_identity, stored_config
from mpafer.engine.state import RunState
from mpafer.evaluation.classes import RENAMED, of_other_names

LEARNED_FROM = ("texts", "train", "val")  # of `made_of`: in an evaluation the run's own


def check_identity(
    state: Mapping[str, Any], path: Path, ours: Mapping[str, Any], *, resuming: bool, bound_by: str
) -> None:
    """Refuse a checkpoint of other weights than the run has a place for.

    Args:
        state: the checkpoint.
        path: where it was read.
        ours: the run's method, backbone, classnames, shapes.
        resuming: the run goes on from it.
        bound_by: whose learning belongs to the classes, in words; "" = it can be evaluated under other class names.

    Raises:
        CheckpointError: something else is there; both values are shown.
    """
    theirs = run_identity(state, path)
    for key, value in ours.items():
        other_names = key == "classnames" and not resuming
        if theirs[key] == value or (other_names and not bound_by):
            continue
        why = _why_no_other_names(bound_by, theirs[key], value) if other_names else ""
        raise CheckpointError(f"{path} is of another {key}: {theirs[key]} there, {value} in this run{why}")


def _why_no_other_names(bound_by: str, theirs: Sequence[str], ours: Sequence[str]) -> str:
    in_common = len(of_other_names(theirs, ours)) < len(theirs)
    cure = "; mpafer cross tests a run on the classes that both have" if in_common else ""
    return f": what {bound_by} learns belongs to the classes it was trained on{cure}"


def check_options(
    state: Mapping[str, Any],
    path: Path,
    cfg: CfgNode,
    node: str,
    made_of: Mapping[str, str],
    *,
    resuming: bool,
    force: bool,
) -> None:
    """Refuse a checkpoint of a run with other options; to evaluate it, with others of those that answers hang on.

    Args:
        state: the checkpoint.
        path: where it was read.
        cfg: the run's config.
        node: of the method's options, under TRAINER.
        made_of: of the run.
        resuming: the run goes on from it.
        force: evaluate all the same.

    Raises:
        CheckpointError: with both values of what differs.
    """
    config = stored_config(state, path)
    if resuming:
        differing = differences(config, cfg, node)
        differing |= made_of_differences(state["extra"].get("made_of", {}), made_of)
    else:
        differing = other_answers(config, cfg, node)
    if differing and (resuming or not force):
        what = "was trained with other options" if resuming else "would answer otherwise, as it had other options"
        cure = "go on with the same, or elsewhere" if resuming else "name the same"
        if resuming and "OPTIM.MAX_EPOCH" in differing:
            cure = f"the schedule is that of all epochs, so to train for others begin anew; else {cure}"
        raise CheckpointError(f"{path} {what} ({listed(differing)}): {cure}, or --force")


def note_whose_weights(run: RunState, state: Mapping[str, Any], path: Path) -> None:
    """Let a run that has loaded a checkpoint say of itself what that was trained on, and under which class names.

    An evaluation is made of the checkpoint's texts and training images. Under other class names it has the
    checkpoint's seed and shots too, and ``run.cross`` says the rest.
    """
    theirs = state["extra"].get("made_of", {})
    if theirs:
        here = {key: value for key, value in run.made_of.items() if not key.startswith(LEARNED_FROM)}
        run.made_of = here | {key: value for key, value in theirs.items() if key.startswith(LEARNED_FROM)}
    learned = (part for name, value in sorted(state["state_dict"].items()) for part in (name, value.cpu().numpy()))
    run.made_of = {**run.made_of, LEARNED: checksum(*learned)}
    names, dataset = run_identity(state, path)["classnames"], stored_config(state, path).get("DATASET", {})
    if names == run.classnames:
        return
    run.seed = state["extra"].get("seed", run.seed)
    set_value(run.cfg, "DATASET.NUM_SHOTS", dataset.get("NUM_SHOTS", -1))
    source = {"run": str(path.parent.parent), "dataset": dataset.get("NAME", ""), "classnames": names, "metrics": None}
    run.cross = {
        "source": source, "rule": RENAMED, "dropped": {}, "absent": of_other_names(names, run.classnames)
    }  # fmt: skip
    print(f"Trained on {source['dataset']} with the class names {', '.join(names)}")
    print(f"Evaluated on {run.cfg.DATASET.NAME} with the class names {', '.join(run.classnames)}")
