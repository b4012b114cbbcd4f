"""The numbers of an experiment as a row: plain values, unrounded, None = unknown; and differences between rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from statistics import mean, stdev
from typing import Any

import yaml

from mpafer.results.experiments import Experiment
from mpafer.results.statistics import difference, holm
from mpafer.results.table import Row

METRICS = {"accuracy": "WAR", "uar": "UAR", "macro_f1": "macro-F1", "ece": "ECE"}  # all in percent
# Of a row: difference to the reference in percentage points, its interval, p and p after Holm, the paired seeds.
DIFFERENCE = ("difference", "difference_low", "difference_high", "p", "p_holm", "paired_seeds")
COSTS = ("learnable_values", "checkpoint_bytes", "train_seconds", "images_per_second", "peak_memory_bytes")


def mean_sd(values: Iterable[float | None]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation of what is known; None without a value, or for one value's deviation."""
    known = [value for value in values if value is not None]
    return mean(known) if known else None, stdev(known) if len(known) > 1 else None


def means(metrics: Sequence[Any], keys: Iterable[str] = METRICS) -> Row:
    """Mean and deviation of each metric over runs, as ``accuracy`` and ``accuracy_sd``."""
    row: Row = {}
    for key in keys:
        row[key], row[f"{key}_sd"] = mean_sd(each.get(key) for each in metrics)
    return row


def make_row(entry: Experiment, shots: int, method: str) -> Row:
    """The numbers of an experiment, as yet without a difference."""
    runs = entry.runs
    row: Row = {
        "method": method,
        "trainer": entry.trainer,
        "cfg": entry.cfg,
        "shots": shots,
        "n": len(runs),
        "seeds": [run.seed for run in runs],
    }
    row |= means([run.metrics for run in runs])
    row["recall"], row["recall_sd"] = {}, {}
    for name in runs[0].display_names:
        recalls = (run.metrics["per_class_recall"].get(name) for run in runs)
        row["recall"][name], row["recall_sd"][name] = mean_sd(recalls)
    for key in COSTS:
        row[key] = mean_sd(getattr(run, key) or None for run in runs)[0]  # a run that trains nothing has 0 s
    row["learnable_values"] = row["learnable_values"] or 0
    row["peak_memory_of"] = runs[0].peak_memory_of
    return row | dict.fromkeys(DIFFERENCE)


def add_differences(
    rows: list[Row], experiments: list[Experiment], reference: Experiment | None, called: str, name: str
) -> list[str]:
    """Fill in the rows' differences to the reference, which goes by ``called``; returns warnings, which begin with
    the table's ``name``."""
    if reference is None:
        return [f"{name}: no result of the reference {called}, hence no differences"]
    warnings, compared = [], []
    for row, entry in zip(rows, experiments, strict=True):
        if entry is reference:
            continue
        found = difference(entry, reference)
        if found is None:
            warnings.append(f"{name}: {row['method']} and {called} have no seed in common, hence no difference")
            continue
        values = found.mean, found.low, found.high, found.p, None, list(found.seeds)
        row.update(zip(DIFFERENCE, values, strict=True))
        compared.append(row)
    for row, adjusted in zip(compared, holm([row["p"] for row in compared]), strict=True):
        row["p_holm"] = adjusted
    return warnings


def provenance(experiments: Sequence[Experiment]) -> list[str]:
    """What the runs ran on: one line each for device, engine, torch and commit."""
    runs = [run for entry in experiments for run in entry.runs]

    def distinct(values: Iterable[str]) -> str:
        return ", ".join(sorted({value or "not recorded" for value in values}))

    return [
        f"device: {distinct(run.device for run in runs)}",
        f"engine: {distinct(run.engine.get('name', '') for run in runs)} "
        f"{distinct(run.engine.get('version', '') for run in runs)}",
        f"torch: {distinct(run.versions.get('torch', '') for run in runs)}",
        f"commit: {distinct(run.commit for run in runs)}",
    ]


def published(dataset: str) -> dict[str, Any] | None:
    """{"source", "rows": method -> accuracy in %} of a data set, where others have printed figures for it."""
    known = read_published()
    rows = known["rows"].get(dataset)
    return rows and {"source": known["source"], "rows": rows}


def read_published() -> dict[str, Any]:
    """All printed figures, as published.yaml has them."""
    return yaml.safe_load((files("mpafer.results") / "published.yaml").read_text("utf-8"))
