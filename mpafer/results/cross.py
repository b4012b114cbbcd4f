"""Runs trained on one data set and tested on others: one row a data set, method and config, from results alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpafer.common.errors import DataError
from mpafer.prompting.expressions import class_key
from mpafer.results.document import DRAWN, Figure, Section, write_document
from mpafer.results.experiments import Experiment, find_results, read_experiment
from mpafer.results.rows import means, read_published
from mpafer.results.schema import RunResult
from mpafer.results.table import Column, Row, Table, as_csv, mean, number, plus_minus, text

METRICS = {"accuracy": "WAR", "uar": "UAR"}
NOTE = (
    "Mean ± sample standard deviation over n seeds, in %. WAR: share of the test images that are right. UAR: mean "
    "recall of the classes that occur. Classes are matched by name; dropped: test images of classes that the run does "
    "not know. Lacking: classes of the run that the data set lacks; keep: they stay possible answers, wrong ones; "
    "mask: they are no possible answers; renamed: the run's prompts stood beside the data set's class names. "
    "The rows of the data set trained on are the runs' own test."
)


@dataclass(frozen=True)
class CrossTable:
    """Measured rows, unrounded, and what others have printed: {"source", "rows": method -> data set -> WAR}."""

    trained_on: str
    rows: list[Row]
    published: dict[str, Any] | None


def cross_table(folders: Iterable[str | Path]) -> CrossTable:
    """One row a data set tested on, method and config.

    Raises:
        MissingFileError: no result under a folder.
        DataError: a result of another kind, or results that cannot stand in one row or table; the file is named.
    """
    tests = [read_experiment(group, files) for group, files in find_results(folders).items()]
    for run in (run for test in tests for run in test.runs):
        if run.cross is None:
            raise DataError(f"{run.file} is a run's own test, not one on another data set")
    sources = sorted({run.source_title for test in tests for run in test.runs})
    if len(sources) > 1:
        raise DataError(f"a table is of one data set trained on, these are of {', '.join(sources)}")
    rows, homes = [], dict[tuple[str, str], Row]()
    for test in tests:
        row = _row(test)
        rows.append(row)
        if home := _home(row, test.runs):
            homes[home["method"], home["config"]] = home
    rows += homes.values()
    rows.sort(key=lambda each: (each["tested_on"] != sources[0], each["tested_on"], each["method"], each["config"]))
    known = read_published()["cross"]
    printed = known["rows"].get(tests[0].runs[0].trained_on)
    return CrossTable(sources[0], rows, printed and {"source": known["source"], "rows": printed})


def _alike(run: RunResult) -> dict[str, Any]:
    """What runs of one row share; of classes their spelling may differ, as older results have no display names."""
    cross = run.cross or {}
    return {
        "dataset": run.dataset, "trainer": run.trainer, "num_images": len(run.images), "classnames": run.classnames,
        "trained_on": run.trained_on, "rule": cross["rule"],
        "dropped": {class_key(name): images for name, images in cross["dropped"].items()},
        "absent": list(map(class_key, cross["absent"])),
    }  # fmt: skip


def _row(test: Experiment) -> Row:
    """The seeds of one experiment."""
    runs = test.runs
    first, cross = _alike(runs[0]), runs[0].cross or {}
    for run in runs[1:]:
        for key, value in _alike(run).items():
            if value != first[key]:
                raise DataError(f"{runs[0].file} and {run.file} differ in {key}: {first[key]}, {value}")
    return {
        "tested_on": runs[0].title,
        "method": first["trainer"],
        "config": test.folder.name.replace(f"_TEST.CROSS_CLASSES={first['rule']}", ""),
        "lacking": cross["absent"],
        "rule": first["rule"],
        "images": first["num_images"],
        "dropped": cross["dropped"],
        "seeds": [run.seed for run in runs],
        "n": len(runs),
        **means([run.metrics for run in runs], METRICS),
    }


def _home(row: Row, runs: Sequence[RunResult]) -> Row | None:
    """The row of the same runs' own test; None where a run's results were not there."""
    sources = [(run.cross or {})["source"] for run in runs]
    own = [source["metrics"] for source in sources]
    if not all(own):
        return None
    config = Path(sources[0]["run"]).parent.name  # without the options of the other test
    changes: Row = {"tested_on": runs[0].source_title, "lacking": [], "rule": "", "images": None, "dropped": {}}
    return row | changes | {"config": config} | means(own, METRICS)


def sections(table: CrossTable) -> list[Section]:
    """The table as a document: measured, then published."""

    def lacking(row: Row) -> str:
        return f"{', '.join(row['lacking'])} ({row['rule']})" if row["lacking"] else "-"

    def dropped(row: Row) -> str:
        return ", ".join(f"{name} {count:,}" for name, count in row["dropped"].items()) or "-"

    columns = [
        text("tested on", "tested_on"), text("method", "method"), text("config", "config"), Column("lacking", lacking),
        number("images", "images"),
        Column("dropped", dropped), text("n", "n"),
    ]  # fmt: skip
    # no ranks: the rows are of several data sets
    columns += [Column(column.title, column.show) for column in (mean(f"{METRICS[key]} %", key) for key in METRICS)]
    head: list[str | Table | Figure] = [Table(columns, table.rows), NOTE]
    if any(row["tested_on"].startswith("SketchFER") for row in table.rows):
        head.append(DRAWN)
    found = [Section(f"Trained on {table.trained_on}, tested on other data sets", 1, head)]
    if table.published:
        found.append(_published(table.trained_on, table.published))
    return found


def _published(trained_on: str, known: dict[str, Any]) -> Section:
    rows = [{"name": method} | figures for method, figures in known["rows"].items()]
    tested = list(dict.fromkeys(name for figures in known["rows"].values() for name in figures))
    columns = [text("published", "name"), *map(_accuracy, tested)]
    title, source = f"Published for training on {trained_on}, not measured here", f"Source: {known['source']}."
    return Section(title, 2, [Table(columns, rows, source), source])


def _accuracy(tested_on: str) -> Column:
    return Column(f"{tested_on}, accuracy %", lambda row: plus_minus(row.get(tested_on), None))


def write_cross(folders: Iterable[str | Path], out: str | Path) -> None:
    """All files in ``out``, and the tables on the terminal; raises what `cross_table` does."""
    table = cross_table(folders)
    rows = [{"trained_on": table.trained_on, **row, "dropped": _counts(row["dropped"])} for row in table.rows]
    write_document(sections(table), out, "cross_dataset", csv=as_csv(rows), content=vars(table))


def _counts(dropped: dict[str, int]) -> str:
    return " ".join(f"{name}={count}" for name, count in dropped.items())
