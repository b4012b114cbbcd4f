"""A grid of settings: a row for each combination of values in the table, one for each run in the CSV."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mpafer.results.document import DRAWN, Figure, Section, write_document
from mpafer.results.experiments import Experiment, aligned, find_results, read_experiments, shots_name
from mpafer.results.rows import METRICS, make_row, provenance
from mpafer.results.schema import RESULTS
from mpafer.results.table import Column, Row, Table, as_csv, mean, text

Point = Mapping[str, str]  # option -> value
NOTE = (
    "Mean ± sample standard deviation over n seeds, in %. A choice by these numbers is a choice on the images they "
    "were measured on: take TEST.SPLIT val to choose by."
)


def write_sweep(title: str, points: Sequence[tuple[Point, int, Path]], out: str | Path) -> None:
    """All files in ``out``, and the table on the terminal.

    Args:
        title: of the document.
        points: values, images a class (-1 = all) and the folder of the seeds; those without a finished run are warned
            of.
        out: gets sweep.md, .html, .tex and .json, and sweep.csv, in which every run has a row.

    Raises:
        MissingFileError: no point is finished.
        DataError: results that cannot stand in one table.
    """
    finished = [point for point in points if any(point[2].glob(f"seed*/{RESULTS}"))]
    missing = [point for point in points if point not in finished]
    warnings = [f"no result of {_named(values)}, {shots_name(shots)}" for values, shots, _ in missing]
    groups = find_results([folder for _, _, folder in finished or points])
    experiments = {entry.folder: entry for entry in aligned(read_experiments(groups))}
    rows, runs = list[Row](), list[Row]()
    for values, shots, folder in finished:
        entry, short = experiments[folder], {short_name(key): value for key, value in values.items()}
        rows.append(_row(entry, short, shots))
        runs += _run_rows(entry, short, shots)
    first = experiments[finished[0][2]].runs[0]
    keys = [short_name(key) for key in points[0][0]]
    body: list[str | Table | Figure] = [Table(_columns(keys), rows), NOTE]
    body += [DRAWN] if first.dataset.startswith("SketchFER") else []
    ran_on = Section("Runs", 2, ["; ".join(provenance(list(experiments.values()))) + "."], detail=True)
    content = {"dataset": first.title, "split": first.split, "keys": keys, "rows": rows, "warnings": warnings}
    document = [Section(title, 1, body), ran_on]
    write_document(document, out, "sweep", csv=as_csv(runs), content=content, warnings=warnings)


def _columns(keys: Sequence[str]) -> list[Column]:
    shots = Column("images a class", lambda row: shots_name(row["shots"]).removesuffix("shots"))
    metrics = [mean(f"{name} %", key, lower_is_better=key == "ece") for key, name in METRICS.items()]
    return [*(text(key, key) for key in keys), shots, text("n", "n"), *metrics]


def _row(entry: Experiment, values: Point, shots: int) -> Row:
    numbers = make_row(entry, shots, entry.trainer)
    kept = ["shots", "n", "seeds", *(f"{key}{end}" for key in METRICS for end in ("", "_sd")), "recall", "recall_sd"]
    return {"method": entry.trainer, **values, **{key: numbers[key] for key in kept}}


def _run_rows(entry: Experiment, values: Point, shots: int) -> list[Row]:
    return [
        {
            "method": entry.trainer, **values, "shots": shots, "seed": run.seed,
            **{key: run.metrics.get(key) for key in METRICS}, "folder": str(run.file.parent),
        }
        for run in entry.runs
    ]  # fmt: skip


def short_name(key: str) -> str:
    """An option of the method by its own name."""
    return re.sub(r"^TRAINER\.[A-Z0-9]+\.", "", key)


def _named(values: Point) -> str:
    return ", ".join(f"{short_name(key)} {value}" for key, value in values.items())
