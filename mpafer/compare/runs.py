"""Finished runs as the rows of a comparison: read, grouped over seeds, and checked to be comparable."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpafer.report import find_files, read

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALL = -1  # shots: every training image
_KEYS = ("trainer", "dataset", "seed", "split", "config", "classnames", "metrics", "predictions", "learnable_values")


def shots_name(shots: int) -> str:
    """``16shots``, ``all``: as in the folders' names."""
    return "all" if shots == ALL else f"{shots}shots"


@dataclass(frozen=True)
class Run:
    """One results.json."""

    file: Path
    record: dict[str, Any]  # without the predictions
    images: list[str]  # N test images
    labels: NDArray[Any]  # [N]
    predicted: NDArray[Any]  # [N]

    @property
    def seed(self) -> int:
        return self.record["seed"]

    @property
    def split(self) -> str:
        return self.record["split"]

    @property
    def correct(self) -> NDArray[Any]:
        """[N] booleans."""
        return self.labels == self.predicted


@dataclass(frozen=True)
class Experiment:
    """Runs of one method, config and number of shots, by seed."""

    folder: Path
    trainer: str
    cfg: str  # the config's name, with the options and the tag that the folder's name tells
    shots: int
    runs: tuple[Run, ...]

    @property
    def learns(self) -> bool:
        """Without anything to learn a result depends on neither seed nor shots."""
        return any(run.record["learnable_values"] for run in self.runs)

    @property
    def name(self) -> str:
        return f"{self.trainer} {self.cfg}"


def load_experiments(
    folder: str | Path, shots: Iterable[int] | None = None, cfgs: Iterable[str] | None = None
) -> list[Experiment]:
    """All experiments under a folder.

    Args:
        folder: searched for results.json, however deep.
        shots: keep these numbers of shots (-1 = all images), and methods that do not learn.
        cfgs: keep these configs, as named by the folders.

    Raises:
        FileNotFoundError: no results, or none that is asked for.
        ValueError: a file that is not a result of ours, or runs that cannot stand in one table; both are named.
    """
    groups = find_files([folder])
    kept = {group: files for group, files in groups.items() if cfgs is None or _cfg_name(group) in cfgs}
    if not kept:
        known = ", ".join(sorted(set(map(_cfg_name, groups))))
        raise FileNotFoundError(f"no results of config {', '.join(cfgs or ())} under {folder}; there are: {known}")
    found = _once_where_nothing_learns(read_experiments(kept))
    chosen = [entry for entry in found if shots is None or entry.shots in shots or not entry.learns]
    if not chosen:
        known = ", ".join(sorted({shots_name(entry.shots) for entry in found}))
        raise FileNotFoundError(f"no results of these shots under {folder}; there are: {known}")
    _refuse_doubles(chosen)
    return chosen


def read_experiments(
    groups: Mapping[Path, Sequence[Path]], wanted: Callable[[Experiment], bool] = lambda entry: True
) -> list[Experiment]:
    """Of folders and their result files, from `find_files`, those ``wanted``; images are in the order of their files.

    Raises:
        ValueError: a file that is not a result of ours, several data sets, or seeds with different configs.
    """
    found = [_experiment(group, [read_run(file) for file in files]) for group, files in groups.items()]
    found = [entry for entry in found if wanted(entry)]
    _refuse_mixture([run for entry in found for run in entry.runs])
    return found


def read_run(file: Path) -> Run:
    """Raises ValueError, with the file's name, where it is no result file."""
    import numpy as np

    record = read(file, *_KEYS)
    try:
        rows = record.pop("predictions")
        images = [row["image"] for row in rows]
        labels, predicted = (np.array([row[key] for row in rows], dtype=np.int64) for key in ("label", "pred"))
        record["config"]["DATASET"]["NUM_SHOTS"], record["metrics"]["confusion"]
        record["trained_on"] = record.get("cross", {"source": record})["source"]["dataset"]  # another: `mpafer.cross`
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is not a result file of ours: {error!r}") from error
    return Run(file, record, images, labels, predicted)


def _refuse_mixture(runs: Sequence[Run]) -> None:
    for run in runs:
        first = runs[0]
        for key, what in (("dataset", "data sets"), ("trained_on", "data sets trained on"), ("classnames", "classes")):
            theirs, ours = first.record[key], run.record[key]
            if theirs != ours:
                raise ValueError(
                    f"{first.file} and {run.file} are of different {what} ({theirs} there, {ours} here): "
                    "a comparison is of one data set"
                )


def _cfg_name(group: Path) -> str:
    """``vit_b16_16shots_N_CTX=4`` -> ``vit_b16_N_CTX=4``; other names stay."""
    return re.sub(r"_(all|\d+shots)(?=_|$)", "", group.name, count=1)


def _experiment(group: Path, runs: list[Run]) -> Experiment:
    runs.sort(key=lambda run: run.seed)
    first = runs[0]
    for before, run in pairwise(runs):
        if run.seed == before.seed:
            raise ValueError(f"{before.file} and {run.file} are of one seed, {run.seed}: they cannot be one row")
        if differing := config_differences(first, run):
            listed = "; ".join(f"{key} {a!r} there, {b!r} here" for key, (a, b) in differing.items())
            raise ValueError(f"seeds of one row differ in their config: {first.file} and {run.file} ({listed})")
    asked = first.record["config"]["DATASET"]["NUM_SHOTS"]
    return Experiment(group, first.record["trainer"], _cfg_name(group), asked if asked > 0 else ALL, tuple(runs))


def config_differences(first: Run, other: Run) -> dict[str, tuple[Any, Any]]:
    """Keys whose values make two runs' results different in kind: all but the seed, and places and processes."""
    from yacs.config import CfgNode

    from mpafer.common.config import differences

    theirs, ours = ({**run.record["config"], "SEED": 0} for run in (first, other))
    differing = differences(CfgNode(theirs), CfgNode(ours))
    backbones = theirs["MODEL"]["BACKBONE"]["NAME"], ours["MODEL"]["BACKBONE"]["NAME"]
    return differing if backbones[0] == backbones[1] else differing | {"MODEL.BACKBONE.NAME": backbones}


def _once_where_nothing_learns(experiments: Sequence[Experiment]) -> list[Experiment]:
    """Of a method that does not learn, one run: the first seed's, with all images where there is such a run."""
    fixed: dict[str, Experiment] = {}
    for entry in sorted(experiments, key=lambda entry: entry.shots):  # -1 first
        if not entry.learns:
            fixed.setdefault(
                entry.name, Experiment(entry.folder, entry.trainer, entry.cfg, entry.shots, entry.runs[:1])
            )
    return [*(entry for entry in experiments if entry.learns), *fixed.values()]


def _refuse_doubles(experiments: Sequence[Experiment]) -> None:
    seen: dict[tuple[str, int], Experiment] = {}
    for entry in experiments:
        other = seen.setdefault((entry.name, entry.shots), entry)
        if other is not entry:
            raise ValueError(
                f"{other.folder} and {entry.folder} are both {entry.name}, {shots_name(entry.shots)}: "
                "name a folder that holds one of them"
            )
