"""What a comparison leaves behind: the document, and the measured rows, unrounded, for programs: CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpafer.common.files import atomic_file
from mpafer.compare.document import Figure, markdown, sections, terminal
from mpafer.compare.html import page
from mpafer.compare.statistics import explanation
from mpafer.compare.table import Comparison, Row


def write_documents(comparison: Comparison, figures: Sequence[Figure], folder: Path, stem: str) -> None:
    """``stem``.md, .csv, .json and .html in ``folder``, where the figures are; the tables on the terminal."""
    document = sections(comparison, figures)
    texts = {
        "md": markdown(document),
        "csv": as_csv(comparison),
        "json": as_json(comparison),
        "html": page(document, folder),
    }
    for ending, text in texts.items():
        with atomic_file(folder / f"{stem}.{ending}") as file:
            file.write(text.encode())
    print(terminal(document))
    for warning in comparison.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    drawn = f", figures in {(folder / figures[0].file).parent}" if figures else ""
    print(f"\nWritten: {folder}/{stem}.{{{','.join(texts)}}}{drawn}")


def as_csv(comparison: Comparison) -> str:
    """One line per method and number of shots (-1 = all images); recalls are columns recall_<class>."""
    rows = [_flat(row) for rows in _rows(comparison) for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(comparison: Comparison) -> str:
    """The same rows by table, with the published ones apart."""
    content: dict[str, Any] = {
        "dataset": comparison.dataset,
        "split": comparison.split,
        "test_images": comparison.images,
        "classnames": comparison.classnames,
        "reference": comparison.reference,
        "difference": explanation(comparison.row, comparison.split),
        "warnings": comparison.warnings,
        "tables": [
            {"shots": table.shots, "rows": rows}
            for table, rows in zip(comparison.tables, _rows(comparison), strict=True)
        ],
        "published": comparison.published,
        "runs": comparison.provenance,
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _rows(comparison: Comparison) -> list[list[Row]]:
    """By table, the first column called what stands in it."""
    return [
        [{comparison.row: row["method"]} | {key: row[key] for key in row if key != "method"} for row in table.rows]
        for table in comparison.tables
    ]


def _flat(row: Row) -> Row:
    """Recalls by class as columns, lists of seeds as words."""
    flat: Row = {}
    for key, value in row.items():
        if isinstance(value, dict):
            what = key.removesuffix("_sd")
            flat |= {f"{what}_{name}{key[len(what) :]}": number for name, number in value.items()}
        else:
            flat[key] = " ".join(map(str, value)) if isinstance(value, list) else value
    return flat
