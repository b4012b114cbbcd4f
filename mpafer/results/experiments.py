"""Finished runs, grouped over seeds and checked to be comparable: what every table starts from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from mpafer.common.errors import DataError, MissingFileError
from mpafer.common.identity import Differing, differences, listed, made_of_differences
from mpafer.results.schema import REPLACED, RESULTS, RunResult

ALL = -1  # shots: every training image


def shots_name(shots: int) -> str:
    """``16shots``, ``all``: as in the folders' names."""
    return "all" if shots == ALL else f"{shots}shots"


@dataclass(frozen=True)
class Experiment:
    """Runs of one method, config and number of shots, by seed."""

    folder: Path
    trainer: str
    cfg: str  # the config's name, with the options and the tag that the folder's name tells
    shots: int
    runs: tuple[RunResult, ...]

    @property
    def learns(self) -> bool:
        """Without anything to learn a result depends on neither seed nor shots."""
        return any(run.learnable_values for run in self.runs)

    @property
    def name(self) -> str:
        return f"{self.trainer} {self.cfg}"


def find_results(folders: Iterable[str | Path]) -> dict[Path, list[Path]]:
    """Folder of an experiment -> the results.json of its seeds, in the order of the folders' names, each once.

    Runs in folders called seed1, seed2, ... under one parent are one experiment.

    Raises:
        MissingFileError: no finished run under a folder.
    """
    groups: dict[Path, dict[Path, Path]] = {}
    for folder in map(Path, folders):
        files = sorted(file for file in folder.rglob(RESULTS) if REPLACED not in file.relative_to(folder).parts)
        if not files:
            raise MissingFileError(f"no results.json under {folder}: no run has finished there")
        for file in files:
            run = file.parent
            group = run.parent if re.fullmatch(r"seed-?\d+", run.name) else run
            groups.setdefault(group, {})[file.resolve()] = file
    return {group: list(files.values()) for group, files in groups.items()}


def load_experiments(
    folder: str | Path, shots: Iterable[int] | None = None, cfgs: Iterable[str] | None = None
) -> list[Experiment]:
    """All experiments under a folder.

    Args:
        folder: searched for results.json, however deep.
        shots: keep these numbers of shots (-1 = all images), and methods that do not learn.
        cfgs: keep these configs, as named by the folders.

    Raises:
        MissingFileError: no results, or none that is asked for.
        DataError: a file that is not a result of ours, or runs that cannot stand in one table; both are named.
    """
    groups = find_results([folder])
    kept = {group: files for group, files in groups.items() if cfgs is None or _cfg_name(group) in cfgs}
    if not kept:
        known = ", ".join(sorted(set(map(_cfg_name, groups))))
        raise MissingFileError(f"no results of config {', '.join(cfgs or ())} under {folder}; there are: {known}")
    found = _once_where_nothing_learns(read_experiments(kept))
    chosen = [entry for entry in found if shots is None or entry.shots in shots or not entry.learns]
    if not chosen:
        known = ", ".join(sorted({shots_name(entry.shots) for entry in found}))
        raise MissingFileError(f"no results of these shots under {folder}; there are: {known}")
    _refuse_doubles(chosen)
    return chosen


def read_experiments(groups: Mapping[Path, Sequence[Path]]) -> list[Experiment]:
    """The experiments of `find_results`, all of one data set; raises as `read_experiment` and `check_alike` do."""
    found = [read_experiment(group, files) for group, files in groups.items()]
    check_alike(found)
    return found


def check_alike(experiments: Sequence[Experiment]) -> None:
    """Raises DataError where experiments are of several data sets, which cannot stand in one table."""
    runs = [run for entry in experiments for run in entry.runs]
    compared = {
        "dataset": "data sets",
        "trained_on": "data sets trained on",
        "classnames": "classes",
        "trained_classes": "classes trained on",
    }
    for run in runs:
        titled = {"source_title": "data sets trained on"} if run.cross else {}  # its training images are not known
        for key, what in (compared | titled).items():
            theirs, ours = getattr(runs[0], key), getattr(run, key)
            if theirs != ours:
                raise DataError(
                    f"{runs[0].file} and {run.file} are of different {what} ({theirs} there, {ours} here): "
                    "a table is of one data set"
                )
        if differing := made_of_differences(
            *({**each.made_of, "texts": "", "backbone": ""} for each in (runs[0], run))
        ):
            raise DataError(f"{runs[0].file} and {run.file} are of different images ({listed(differing)})")


def _cfg_name(group: Path) -> str:
    """``vit_b16_16shots_N_CTX=4`` -> ``vit_b16_N_CTX=4``; other names stay."""
    return re.sub(r"_(all|\d+shots)(?=_|$)", "", group.name, count=1)


def read_experiment(group: Path, files: Sequence[Path]) -> Experiment:
    """The seeds in a folder.

    Raises:
        DataError: a file that is not a result of ours, a seed twice, or seeds with different configs.
    """
    runs = sorted(map(RunResult.read, files), key=lambda run: run.seed)
    first = runs[0]
    for before, run in pairwise(runs):
        if run.seed == before.seed:
            raise DataError(f"{before.file} and {run.file} are of one seed, {run.seed}: they cannot be one row")
        if differing := run_differences(first, run):
            raise DataError(f"seeds of one row differ: {first.file} and {run.file} ({listed(differing)})")
    shots = first.config.get("DATASET", {}).get("NUM_SHOTS", ALL)
    return Experiment(group, first.trainer, _cfg_name(group), shots if shots > 0 else ALL, tuple(runs))


def run_differences(first: RunResult, other: RunResult) -> Differing:
    """What makes two runs' results different in kind: all but the seed, and places and processes."""
    theirs, ours = ({**run.config, "SEED": 0} for run in (first, other))
    found = differences(theirs, ours) | made_of_differences(first.made_of, other.made_of)
    if first.split != other.split:
        found["TEST.SPLIT"] = (first.split, other.split)
    names = tuple(tree.get("MODEL", {}).get("BACKBONE", {}).get("NAME") for tree in (theirs, ours))
    known = first.made_of.get("backbone") and other.made_of.get("backbone")
    return found if known or names[0] == names[1] else found | {"MODEL.BACKBONE.NAME": names}


def _once_where_nothing_learns(experiments: Sequence[Experiment]) -> list[Experiment]:
    """Of a method that does not learn, one run: the first seed's, with all images where there is such a run."""
    fixed: dict[str, Experiment] = {}
    for entry in sorted(experiments, key=lambda entry: entry.shots):  # -1 first
        if not entry.learns:
            fixed.setdefault(entry.name, replace(entry, runs=entry.runs[:1]))
    return [*(entry for entry in experiments if entry.learns), *fixed.values()]


def _refuse_doubles(experiments: Sequence[Experiment]) -> None:
    seen: dict[tuple[str, int], Experiment] = {}
    for entry in experiments:
        other = seen.setdefault((entry.name, entry.shots), entry)
        if other is not entry:
            raise DataError(
                f"{other.folder} and {entry.folder} are both {entry.name}, {shots_name(entry.shots)}: "
                "name a folder that holds one of them"
            )


def aligned(experiments: Sequence[Experiment]) -> list[Experiment]:
    """The same experiments with every run's images in the order of the first run's, and classes called as there.

    A validation set is drawn by the seed: there it is the order of the first run with that seed.

    Raises:
        DataError: other images, or other labels.
    """
    drawn = all(entry.learns and run.split == "val" for entry in experiments for run in entry.runs)
    firsts: dict[int, RunResult] = {}

    names = experiments[0].runs[0].display_names

    def align(run: RunResult) -> RunResult:
        return _align(run, firsts.setdefault(run.seed if drawn else 0, run)).shown_as(names)

    return [replace(entry, runs=tuple(map(align, entry.runs))) for entry in experiments]


def _align(run: RunResult, first: RunResult) -> RunResult:
    if run.images != first.images:
        place = {image: index for index, image in enumerate(run.images)}
        if len(place) < len(run.images) or len(run.images) != len(first.images) or place.keys() != set(first.images):
            only = len(place.keys() - set(first.images)), len(set(first.images) - place.keys())
            raise DataError(
                f"{first.file} and {run.file} were tested on different images: {only[1]} only there, {only[0]} only "
                "here; they cannot be compared"
            )
        run = run.reordered([place[image] for image in first.images], first.images)
    if (run.labels != first.labels).any():
        wrong = first.images[int((run.labels != first.labels).argmax())]
        raise DataError(f"{first.file} and {run.file} have different labels for {wrong}: they cannot be compared")
    return run
