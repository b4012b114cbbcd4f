"""Mean and deviation of experiments, whatever they are of: what a script prints at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from mpafer.results.experiments import find_results, read_experiment
from mpafer.results.rows import METRICS, means
from mpafer.results.table import Column, Row, Table, text


def summarise(folders: Iterable[str | Path]) -> list[Row]:
    """One row per experiment: run, n, and per metric its mean and sample deviation (None with one run).

    Raises:
        MissingFileError: no finished run under a folder.
        DataError: a file that is not a result of ours, a seed twice, or seeds that differ in more than the seed.
    """
    rows = []
    for group, files in find_results(folders).items():
        runs = read_experiment(group, files).runs
        rows.append({"run": str(group), "n": len(runs), **means([run.metrics for run in runs])})
    return rows


def as_text(rows: Sequence[Row], metrics: Mapping[str, str] = METRICS) -> str:
    """The table people read, two decimals; ``metrics``: key of the rows -> title."""
    columns = [text("run", "run"), text("n", "n"), *(Column(f"{name} %", _cell(key)) for key, name in metrics.items())]
    return Table(columns, list(rows)).text("simple")


def _cell(key: str) -> Callable[[Row], str]:
    """``67.29 ± 0.50``, and ``67.29 ± -`` of one run."""

    def cell(row: Row) -> str:
        if row[key] is None:
            return "-"
        deviation = row[f"{key}_sd"]
        return f"{row[key]:.2f} ± {'-' if deviation is None else f'{deviation:.2f}'}"

    return cell
