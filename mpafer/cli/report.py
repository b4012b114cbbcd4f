"""`mpafer report`: mean ± deviation of finished runs."""

from __future__ import annotations

import json
import os

import click

from mpafer.common.errors import clear_errors


@click.command()
@click.option("--csv", "csv_file", type=click.Path(), metavar="F", help="Write the rows, unrounded, as CSV.")
@click.option("--json", "json_file", type=click.Path(), metavar="F", help="Write the rows, unrounded, as JSON.")
@click.option(
    "--folds", type=click.IntRange(2), metavar="N",
    help="DIR holds runs of DATASET.FOLD 1 to N: the figures of all their images together, and the mean over folds.",
)  # fmt: skip
@click.argument("folders", nargs=-1, required=True, metavar="DIR...")
def command(folders: tuple[str, ...], csv_file: str | None, json_file: str | None, folds: int | None) -> None:
    """A table from results.json of the finished runs under DIR, however deep.

    Runs in folders called seed1, seed2, ... under one parent are one row: mean ± sample standard deviation.
    """
    with clear_errors():
        from mpafer.common.files import write_text
        from mpafer.results.summary import as_text, summarise
        from mpafer.results.table import as_csv

        places = [os.path.expanduser(folder) for folder in folders]
        if folds:
            from mpafer.results.folds import METRICS, over_folds

            rows = over_folds(places, folds)
            print(as_text(rows, METRICS))
        else:
            rows = summarise(places)
            print(as_text(rows))
        if csv_file:
            write_text(csv_file, as_csv(rows), newline="\r\n")
        if json_file:
            write_text(json_file, json.dumps(rows, indent=2) + "\n")
