"""A grid of settings as one table: a row for each point, mean ± deviation over its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mpafer.results.document import DRAWN, Figure, Section, write_document
from mpafer.results.experiments import aligned, find_results, read_experiments, shots_name
from mpafer.results.rows import METRICS, Row, make_row, provenance
from mpafer.results.table import Column, Table, as_csv, mean, text


def write_sweep(title: str, points: Sequence[tuple[Mapping[str, str], Path]], out: str | Path) -> None:
    """All files in ``out``, and the table on the terminal.

    Args:
        title: of the document.
        points: key -> value, and the folder of the seeds; points without a finished run are warned of.
        out: gets sweep.md, .html, .tex, .csv and .json.

    Raises:
        MissingFileError: no point is finished.
        DataError: results that cannot stand in one table.
    """
    finished = [(values, folder) for values, folder in points if any(folder.glob("seed*/results.json"))]
    missing = [
        ", ".join(f"{k} {v}" for k, v in values.items())
        for values, folder in points
        if (values, folder) not in finished
    ]
    groups = find_results([folder for _, folder in finished] or [folder for _, folder in points])
    experiments = {entry.folder: entry for entry in aligned(read_experiments(groups))}
    rows: list[Row] = []
    for values, folder in finished:
        entry = experiments[folder]
        row = make_row(entry, entry.shots, entry.trainer)
        rows.append({"method": row.pop("method"), **values, **{key: row[key] for key in row if key not in _UNUSED}})
    keys = list(points[0][0])
    shots = Column("images a class", lambda row: shots_name(row["shots"]).removesuffix("shots"))
    columns = [text("method", "method"), *(text(key, key) for key in keys), shots, text("n", "n")]
    columns += [mean(f"{name} %", key, lower_is_better=key == "ece") for key, name in METRICS.items()]
    dataset = experiments[finished[0][1]].runs[0].dataset
    head: list[str | Table | Figure] = [Table(columns, rows)]
    if dataset.startswith("SketchFER"):
        head.append(DRAWN)
    warnings = [f"no result of {point}" for point in missing]
    ran_on = Section("Runs", 2, ["; ".join(provenance(list(experiments.values()))) + "."], detail=True)
    content: dict[str, Any] = {"dataset": dataset, "keys": keys, "rows": rows, "warnings": warnings}
    write_document(
        [Section(title, 1, head), ran_on], out, "sweep", csv=as_csv(rows), content=content, warnings=warnings
    )


_UNUSED = ("trainer", "cfg", "difference", "difference_low", "difference_high", "p", "p_holm", "paired_seeds")
