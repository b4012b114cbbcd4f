"""Tables from results.json of finished runs: `python -m mpafer.report DIR [DIR ...] [--csv F] [--json F]`.

Runs in folders called seed1, seed2, ... under one parent are one row: mean ± sample standard deviation.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from tabulate import tabulate

METRICS = {"accuracy": "WAR", "uar": "UAR", "macro_f1": "macro-F1", "ece": "ECE"}  # all in percent
Row = dict[str, Any]


def find_files(folders: Iterable[str | Path]) -> dict[Path, list[Path]]:
    """Folder of an experiment -> the results.json of its runs, in the order of the folders' names, each once.

    Raises:
        FileNotFoundError: no finished run under a folder.
    """
    groups: dict[Path, dict[Path, Path]] = {}
    for folder in map(Path, folders):
        files = sorted(folder.rglob("results.json"))
        if not files:
            raise FileNotFoundError(f"no results.json under {folder}: no run has finished there")
        for file in files:
            run = file.parent
            group = run.parent if re.fullmatch(r"seed-?\d+", run.name) else run
            groups.setdefault(group, {})[file.resolve()] = file
    return {group: list(files.values()) for group, files in groups.items()}


def read(file: Path, *keys: str) -> dict[str, Any]:
    """A result file, which has to have these keys.

    Raises:
        ValueError: it cannot be read as such; it is named.
    """
    try:
        record = json.loads(file.read_text("utf-8"))
        for key in keys:
            record[key]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is not a result file of ours: {error!r}") from error
    return record


def find_groups(folders: Iterable[str | Path]) -> dict[Path, list[dict[str, Any]]]:
    """Folder of an experiment -> the metrics of its runs; raises what `find_files` and `read` do."""
    groups = find_files(folders)
    return {group: [read(file, "metrics")["metrics"] for file in files] for group, files in groups.items()}


def mean_sd(values: Iterable[float | None]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation of what is known; None without a value, or for one value's deviation."""
    known = [value for value in values if value is not None]
    return mean(known) if known else None, stdev(known) if len(known) > 1 else None


def summarise(groups: dict[Path, list[dict[str, Any]]]) -> list[Row]:
    """One row per experiment: run, n, and per metric its mean and sample deviation (None with one run)."""
    rows = []
    for group, runs in groups.items():
        row: Row = {"run": str(group), "n": len(runs)}
        for key in METRICS:
            row[key], row[f"{key}_sd"] = mean_sd(run.get(key) for run in runs)
        rows.append(row)
    return rows


def as_text(rows: Sequence[Row]) -> str:
    """The table people read, two decimals."""

    def cell(row: Row, key: str) -> str:
        if row[key] is None:
            return "-"
        sd = row[f"{key}_sd"]
        return f"{row[key]:.2f} ± {'-' if sd is None else f'{sd:.2f}'}"

    body = [[row["run"], row["n"], *(cell(row, key) for key in METRICS)] for row in rows]
    headers = ["run", "n", *(f"{name} %" for name in METRICS.values())]
    return tabulate(body, headers=headers, stralign="right", colalign=("left",), disable_numparse=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m mpafer.report", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folders", nargs="+", metavar="DIR", help="searched for results.json, however deep")
    parser.add_argument("--csv", metavar="F", help="write the rows, unrounded, as CSV")
    parser.add_argument("--json", metavar="F", help="write the rows, unrounded, as JSON")
    options = parser.parse_args(arguments)
    try:
        rows = summarise(find_groups(options.folders))
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(as_text(rows))
    if options.csv:
        with open(options.csv, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
