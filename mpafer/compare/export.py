"""The measured rows, unrounded, for programs: CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from mpafer.compare.statistics import METHOD
from mpafer.compare.table import Comparison, Row


def as_csv(comparison: Comparison) -> str:
    """One line per method and number of shots (-1 = all images); recalls are columns recall_<class>."""
    rows = [_flat(row) for table in comparison.tables for row in table.rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(comparison: Comparison) -> str:
    """The same rows by table, with the published ones apart."""
    content: dict[str, Any] = {
        "dataset": comparison.dataset,
        "test_images": comparison.images,
        "classnames": comparison.classnames,
        "reference": comparison.reference,
        "difference": METHOD,
        "warnings": comparison.warnings,
        "tables": [{"shots": table.shots, "rows": table.rows} for table in comparison.tables],
        "published": comparison.published,
        "runs": comparison.provenance,
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


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
