"""The folds of a cross-validation, DATASET.FOLD 1 to N: their images pooled, and the mean over them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean

import numpy as np
from sklearn.metrics import recall_score

from mpafer.common.errors import DataError
from mpafer.common.identity import listed
from mpafer.results.experiments import find_results, read_experiment, run_differences
from mpafer.results.rows import means
from mpafer.results.schema import RunResult
from mpafer.results.table import Row

MODEL = ("texts", "backbone")  # of `made_of`: images are those of the fold
METRICS = {"pooled_war": "pooled WAR", "pooled_uar": "pooled UAR", "war": "WAR of a fold", "uar": "UAR of a fold"}


def over_folds(folders: Iterable[str | Path], count: int) -> list[Row]:
    """One row a method and config, whose folders differ in the fold alone: for each metric of METRICS its mean over
    seeds and the sample deviation. WAR and UAR of a fold are the mean over folds; UAR is of the classes that occur.

    Raises:
        MissingFileError: no finished run under a folder.
        DataError: a fold that is missing or is there twice, other seeds in one than in another, runs that differ in
            more than fold and seed, or an image that several folds tested.
    """
    found: defaultdict[Path, defaultdict[int, dict[int, RunResult]]] = defaultdict(lambda: defaultdict(dict))
    for group, files in find_results(folders).items():
        home = group.with_name(re.sub(r"_DATASET\.FOLD=\d+", "", group.name))
        for run in read_experiment(group, files).runs:
            fold = run.config.get("DATASET", {}).get("FOLD", 0)
            if not 1 <= fold <= count or fold in found[home][run.seed]:
                raise DataError(f"{run.file} is of DATASET.FOLD {fold}: each of 1 to {count} is wanted, once")
            found[home][run.seed][fold] = run
    rows = []
    for home, seeds in found.items():
        for seed, folds in seeds.items():
            if missing := sorted(set(range(1, count + 1)) - folds.keys()):
                raise DataError(f"{home}, seed {seed}: no finished run of DATASET.FOLD {', '.join(map(str, missing))}")
        runs = [[folds[fold] for fold in sorted(folds)] for folds in seeds.values()]
        _refuse_unlike([run for folds in runs for run in folds])
        rows.append({"run": str(home), "n": len(runs), **means([_figures(folds) for folds in runs], METRICS)})
    return rows


def _figures(folds: Sequence[RunResult]) -> dict[str, float]:
    """Of one seed, in percent."""
    images = [image for run in folds for image in run.images]
    if len(set(images)) < len(images):
        twice = next(image for image in images if images.count(image) > 1)
        raise DataError(f"{folds[0].file} and the other folds: {twice} was tested more than once")
    labels, predicted = (np.concatenate([getattr(run, key) for run in folds]) for key in ("labels", "predicted"))
    recall = recall_score(labels, predicted, labels=np.unique(labels), average="macro")
    return {
        "pooled_war": 100.0 * float(np.mean(labels == predicted)),
        "pooled_uar": 100.0 * float(recall),
        "war": mean(run.metrics["accuracy"] for run in folds),
        "uar": mean(run.metrics["uar"] for run in folds),
    }


def _refuse_unlike(runs: Sequence[RunResult]) -> None:
    def but_for_the_fold(run: RunResult) -> RunResult:
        config = {**run.config, "DATASET": {**run.config["DATASET"], "FOLD": 0}}
        return replace(run, config=config, made_of={key: run.made_of[key] for key in run.made_of if key in MODEL})

    for run in runs[1:]:
        if differing := run_differences(*map(but_for_the_fold, (runs[0], run))):
            raise DataError(f"folds of one row differ: {runs[0].file} and {run.file} ({listed(differing)})")
