"""`mpafer compare`: methods side by side on one data set."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path
from typing import Any

import click

from mpafer.cli import options
from mpafer.common.errors import clear_errors


@click.command(context_settings=options.PAIRS)
@options.many
@options.cfg
@click.option("--methods", envvar="METHODS", default="", help="Names in configs/trainers; default: all that have CFG.")
@click.option(
    "--reference", envvar="REFERENCE", default="MPAFER", show_default=True, help="What others are compared with."
)
@options.dataset
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[SHOTS]... [KEY VALUE]...")
def command(dataset: str, words: tuple[str, ...], **chosen: Any) -> None:
    """Methods on a data set: run what is missing, then tables, statistics and figures from all results.

    SHOTS are numbers of training images a class, -1 = all (default: 16 -1). KEY VALUE pairs change the config of every
    method. Methods that learn nothing run once. Tables and figures: OUT/DATASET/comparison, or with another
    config or options comparison_CFG_KEY=VALUE...

    Where DATASET is a folder of runs, as output/rafdb, nothing is run: the tables are made from what is there.
    """
    with clear_errors():
        from mpafer.results.comparison_pages import write_comparison
        from mpafer.run_config import find_method
        from mpafer.runs.catalog import default_cfg
        from mpafer.runs.comparison_plan import plan
        from mpafer.runs.plan import settings_name
        from mpafer.runs.words import read_options, read_shots

        place, reference = options.place(chosen), chosen["reference"]
        numbers = list(takewhile(lambda word: re.fullmatch(r"-?\d+", word), words))
        shots, pairs = [read_shots(word) for word in numbers], read_options(words[len(numbers) :])
        if options.is_results(dataset):
            write_comparison(
                dataset, Path(dataset, "comparison"), reference, shots or None, chosen["cfg"].split() or None
            )
            return
        find_method(reference.partition(" ")[0])  # before anything is run
        cfg, shots = chosen["cfg"] or default_cfg(dataset), shots or [16, -1]
        methods = chosen["methods"].replace(",", " ").split()
        jobs = plan(dataset, cfg, shots, pairs, methods, chosen["seeds"], place)
        runs, name = place.of(dataset, pairs), settings_name(cfg, pairs, place)
        plain = name == default_cfg(dataset)
        out = runs / ("comparison" if plain else f"comparison_{name}")  # one does not overwrite another
        options.run_and_write(
            jobs,
            options.how(chosen),
            lambda: write_comparison(runs, out, reference, shots, [name]),
        )
