"""Cross-data-set results as tables: `python -m mpafer.cross.table DIR [DIR ...] --out FOLDER`.

DIR holds what `mpafer.cross` wrote, for runs trained on one data set. Writes cross_dataset.md, .csv and .json;
published figures, where there are any for that data set, stand in a block of their own.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mpafer.common.errors import clear_errors
from mpafer.common.files import atomic_file
from mpafer.compare.document import DRAWN, Grid, Section, markdown, plus_minus, terminal
from mpafer.cross.rows import METRICS, Row, Table, cross_table

NOTE = (
    "Mean ± sample standard deviation over n seeds, in %. WAR: share of the test images that are right. UAR: mean "
    "recall of the classes that occur. Classes are matched by name; dropped: test images of classes that the run does "
    "not know. Lacking: classes of the run that the data set lacks; keep: they stay possible answers, wrong ones; "
    "mask: they are no possible answers. The rows of the data set trained on are the runs' own test."
)


def sections(table: Table) -> list[Section]:
    """The table as a document: measured, then published."""
    headers = ["tested on", "method", "config", "lacking", "images", "dropped", "n"]
    headers += [f"{name} %" for name in METRICS.values()]
    head: list[Any] = [Grid(headers, [_cells(each) for each in table.rows]), NOTE]
    if any(each["tested_on"].startswith("SketchFER") for each in table.rows):
        head.append(DRAWN)
    found = [Section(f"Trained on {table.trained_on}, tested on other data sets", 1, head)]
    if table.published:
        rows = table.published["rows"]
        tested = list(dict.fromkeys(name for figures in rows.values() for name in figures))
        body = [[method, *(plus_minus(figures.get(name), None) for name in tested)] for method, figures in rows.items()]
        grid = Grid(["published", *(f"{name}, accuracy %" for name in tested)], body)
        title = f"Published for training on {table.trained_on}, not measured here"
        found.append(Section(title, 2, [grid, f"Source: {table.published['source']}."]))
    return found


def _cells(each: Row) -> list[str]:
    lacking = f"{', '.join(each['lacking'])} ({each['rule']})" if each["lacking"] else "-"
    images = "-" if each["images"] is None else f"{each['images']:,}"
    dropped = ", ".join(f"{name} {count:,}" for name, count in each["dropped"].items()) or "-"
    figures = [plus_minus(each[key], each[f"{key}_sd"]) for key in METRICS]
    return [each["tested_on"], each["method"], each["config"], lacking, images, dropped, str(each["n"]), *figures]


def as_csv(table: Table) -> str:
    """The measured rows; lists with blanks between, dropped images as name=count."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["trained_on", *table.rows[0]], lineterminator="\n")
    writer.writeheader()
    for each in table.rows:
        dropped = " ".join(f"{name}={count}" for name, count in each["dropped"].items())
        lists = {key: " ".join(map(str, each[key])) for key in ("lacking", "seeds")}
        writer.writerow({"trained_on": table.trained_on, **each, **lists, "dropped": dropped})
    return text.getvalue()


def write_table(folders: Iterable[str | Path], out: str | Path) -> None:
    """All files in ``out``, and the tables on the terminal; raises what `cross_table` does."""
    table = cross_table(folders)
    document = sections(table)
    texts = {
        "md": markdown(document),
        "csv": as_csv(table),
        "json": json.dumps(vars(table), indent=2, ensure_ascii=False) + "\n",
    }
    for ending, text in texts.items():
        with atomic_file(Path(out) / f"cross_dataset.{ending}") as file:
            file.write(text.encode())
    print(terminal(document))
    print(f"\nWritten: {out}/cross_dataset.{{{','.join(texts)}}}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mpafer.cross.table", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", metavar="DIR", help="searched for results.json, however deep")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where the tables go")
    options = parser.parse_args(arguments)
    with clear_errors():
        write_table(options.folders, options.out)


if __name__ == "__main__":
    main()
