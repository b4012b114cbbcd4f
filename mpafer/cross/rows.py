"""Cross-data-set results as rows: plain values, unrounded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpafer.compare.table import read_published
from mpafer.report import find_files, mean_sd, read

METRICS = {"accuracy": "WAR", "uar": "UAR"}
SAME = ("dataset", "trainer", "num_images", "classnames", "rule", "dropped", "absent", "trained_on")  # in one row
Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """Measured rows, unrounded, and what others have printed: {"source", "rows": method -> data set -> WAR}."""

    trained_on: str
    rows: list[Row]
    published: dict[str, Any] | None


def cross_table(folders: Iterable[str | Path]) -> Table:
    """One row a data set tested on, method and config.

    Raises:
        FileNotFoundError: no result under a folder.
        ValueError: a result of another kind, or results that cannot stand in one row or table; the file is named.
    """
    groups = {group: [read_cross(file) for file in files] for group, files in find_files(folders).items()}
    sources = sorted({record["trained_on"] for records in groups.values() for record in records})
    if len(sources) > 1:
        raise ValueError(f"a table is of one data set trained on, these are of {', '.join(sources)}")
    rows = [row(group, records) for group, records in groups.items()]
    homes = {(each["method"], home["config"]): home for each in rows if (home := each.pop("home"))}
    rows += homes.values()
    rows.sort(key=lambda each: (each["tested_on"] != sources[0], each["tested_on"], each["method"], each["config"]))
    known = read_published()["cross"]
    printed = known["rows"].get(sources[0])
    return Table(sources[0], rows, printed and {"source": known["source"], "rows": printed})


def read_cross(file: Path) -> dict[str, Any]:
    """A results file of `mpafer.cross`, its note's entries among its own."""
    record = read(file, "metrics", "dataset", "trainer", "seed", "num_images", "classnames")
    if "cross" not in record:
        raise ValueError(f"{file} is a run's own test, not one on another data set")
    note = record["cross"]
    return record | note | {"file": file, "trained_on": note["source"]["dataset"]}


def row(group: Path, records: Sequence[dict[str, Any]]) -> Row:
    """The seeds of one experiment; ``home`` is the row of their own test, None where a run's results were not there."""
    first = records[0]
    for record in records[1:]:
        for key in SAME:
            if record[key] != first[key]:
                raise ValueError(f"{first['file']} and {record['file']} differ in {key}: {first[key]}, {record[key]}")
        if record["seed"] in [other["seed"] for other in records if other is not record]:
            raise ValueError(f"{group} has two results of seed {record['seed']}")
    found: Row = {
        "tested_on": first["dataset"],
        "method": first["trainer"],
        "config": group.name.replace(f"_TEST.CROSS_CLASSES={first['rule']}", ""),
        "lacking": first["absent"],
        "rule": first["rule"],
        "images": first["num_images"],
        "dropped": first["dropped"],
        "seeds": sorted(record["seed"] for record in records),
    }
    found |= _means([record["metrics"] for record in records])
    own = [record["source"]["metrics"] for record in records]
    home = found | {"tested_on": first["trained_on"], "lacking": [], "rule": "", "images": None, "dropped": {}}
    home["config"] = Path(first["source"]["run"]).parent.name  # without the options of the other test
    return found | {"home": home | _means(own) if all(own) else None}


def _means(metrics: Sequence[dict[str, float]]) -> Row:
    found: Row = {"n": len(metrics)}
    for key in METRICS:
        found[key], found[f"{key}_sd"] = mean_sd(each[key] for each in metrics)
    return found
