"""The numbers of a comparison: per number of shots, one row a method; plain values, unrounded, None = unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from mpafer.compare.align import aligned
from mpafer.compare.runs import ALL, Experiment, shots_name
from mpafer.compare.statistics import difference, holm
from mpafer.report import METRICS, mean_sd

Row = dict[str, Any]
# Of a row: difference to the reference in percentage points, its interval, p and p after Holm, the paired seeds.
DIFFERENCE = ("difference", "difference_low", "difference_high", "p", "p_holm", "paired_seeds")
COSTS = ("learnable_values", "checkpoint_bytes", "train_seconds", "images_per_second", "peak_memory_bytes")


@dataclass(frozen=True)
class Table:
    """All methods at one number of shots."""

    shots: int
    rows: list[Row]
    experiments: list[Experiment]  # the rows' runs, in their order

    @property
    def name(self) -> str:
        return shots_name(self.shots)


@dataclass(frozen=True)
class Comparison:
    """Everything that is written, as tables, files and figures, about one data set."""

    title: str
    dataset: str
    classnames: list[str]
    images: int  # tested
    reference: str
    tables: list[Table]
    provenance: list[str]
    published: dict[str, Any] | None  # {"source", "rows": method -> accuracy, maybe "column": what else it is}
    warnings: list[str]
    row: str = "method"  # what stands in the rows
    split: str = "test"


def compare(experiments: Sequence[Experiment], reference: str = "MPAFER", shots: Sequence[int] = ()) -> Comparison:
    """Tables over every number of shots that was trained with; what does not learn stands in each of them.

    Args:
        experiments: from `load_experiments`.
        reference: trainer, or trainer and config ("MPAFER tiny"), that the others are compared with.
        shots: those asked for; a missing one is a warning.

    Raises:
        ValueError: several rows of one table go by the reference's name, or runs have other test images.
    """
    experiments = aligned(experiments)
    found = sorted({entry.shots for entry in experiments if entry.learns} or {ALL}, key=_order)
    warnings = [f"no result of a method that learns: {shots_name(each)}" for each in shots if each not in found]
    several = len({entry.cfg for entry in experiments}) > 1
    tables = []
    for number in found:
        chosen = [entry for entry in experiments if entry.shots == number or not entry.learns]
        chosen.sort(key=lambda entry: (reference not in _names(entry), entry.name.lower()))
        rows = [make_row(entry, number, entry.name if several else entry.trainer) for entry in chosen]
        references = [entry for entry in chosen if reference in _names(entry)]
        if len(references) > 1:
            listed = ", ".join(f"'{entry.name}'" for entry in references)
            raise ValueError(f"several rows are {reference}: {listed}; choose by --reference, or by --cfg")
        warnings += add_differences(rows, chosen, references[0] if references else None, reference, shots_name(number))
        tables.append(Table(number, rows, chosen))
    first = experiments[0].runs[0]
    dataset, trained_on = first.record["dataset"], first.record["trained_on"]
    name = dataset if trained_on == dataset else f"{dataset}, trained on {trained_on}"
    return Comparison(
        title=f"Methods on {name}",
        dataset=name,
        classnames=first.record["classnames"],
        images=len(first.images),
        reference=reference,
        tables=tables,
        provenance=provenance(experiments),
        published=published(dataset) if trained_on == dataset else None,
        warnings=warnings,
        split=first.split,
    )


def published(dataset: str) -> dict[str, Any] | None:
    """{"source", "rows": method -> accuracy in %} of a data set, where others have printed figures for it."""
    known = read_published()
    rows = known["rows"].get(dataset)
    return rows and {"source": known["source"], "rows": rows}


def read_published() -> dict[str, Any]:
    """All printed figures, as published.yaml has them."""
    return yaml.safe_load((files("mpafer.compare") / "published.yaml").read_text("utf-8"))


def _order(shots: int) -> float:
    return float("inf") if shots == ALL else shots


def _names(entry: Experiment) -> tuple[str, str]:
    return entry.trainer, entry.name


def make_row(entry: Experiment, shots: int, method: str) -> Row:
    """The numbers of an experiment, as yet without a difference."""
    records = [run.record for run in entry.runs]
    row: Row = {
        "method": method,
        "trainer": entry.trainer,
        "cfg": entry.cfg,
        "shots": shots,
        "n": len(records),
        "seeds": [run.seed for run in entry.runs],
    }
    for key in METRICS:
        row[key], row[f"{key}_sd"] = mean_sd(record["metrics"].get(key) for record in records)
    row["recall"], row["recall_sd"] = {}, {}
    for name in records[0]["classnames"]:
        recalls = (record["metrics"]["per_class_recall"].get(name) for record in records)
        row["recall"][name], row["recall_sd"][name] = mean_sd(recalls)
    for key in COSTS:
        row[key] = mean_sd(record.get(key) or None for record in records)[0]  # a run that trains nothing has 0 s
    row["learnable_values"] = row["learnable_values"] or 0
    row["peak_memory_of"] = records[0].get("peak_memory_of")
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

    def distinct(*keys: str) -> str:
        values = set()
        for run in runs:
            value: Any = run.record
            for key in keys:
                value = value.get(key, {}) if isinstance(value, dict) else {}
            values.add(str(value or "not recorded"))
        return ", ".join(sorted(values))

    return [
        f"device: {distinct('device')}",
        f"engine: {distinct('engine', 'name')} {distinct('engine', 'version')}",
        f"torch: {distinct('versions', 'torch')}",
        f"commit: {distinct('commit')}",
    ]
