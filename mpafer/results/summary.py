"""Mean and deviation of experiments, whatever they are of: what a script prints at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from mpafer.results.experiments import find_results, read_experiment
from mpafer.results.rows import METRICS, means
from mpafer.results.table import Column, Row, Table, text


def summarise(folders: Iterable[str | Path]) -> list[Row]:
    """One row per experiment: run, n, and per metric its mean and sample deviation (None with one run).

    Where any of them is of a data set with a DATASET.TITLE, all say their data set.

    Raises:
        MissingFileError: no finished run under a folder.
        DataError: a file that is not a result of ours, a seed twice, or seeds that differ in more than the seed.
    """
    rows, titled = [], False
    for group, files in find_results(folders).items():
        runs = read_experiment(group, files).runs
        rows.append(
            {"run": str(group), "dataset": runs[0].title, "n": len(runs), **means([run.metrics for run in runs])}
        )
        titled = titled or runs[0].title != runs[0].dataset
    return rows if titled else [{key: value for key, value in row.items() if key != "dataset"} for row in rows]


def as_text(rows: Sequence[Row], metrics: Mapping[str, str] = METRICS) -> str:
    """The table people read, two decimals; ``metrics``: key of the rows -> title."""
    dataset = [text("data set", "dataset")] if rows and "dataset" in rows[0] else []
    columns = [text("run", "run"), *dataset, text("n", "n")]
    columns += [Column(f"{name} %", _cell(key)) for key, name in metrics.items()]
    return Table(columns, list(rows)).text("simple")


def _cell(key: str) -> Callable[[Row], str]:
    """``67.29 ± 0.50``, and ``67.29 ± -`` of one run."""

    def cell(row: Row) -> str:
        if row[key] is None:
            return "-"
        deviation = row[f"{key}_sd"]
        return f"{row[key]:.2f} ± {'-' if deviation is None else f'{deviation:.2f}'}"

    return cell
