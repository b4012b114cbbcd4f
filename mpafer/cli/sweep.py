"""`mpafer sweep`: a method over a grid of options."""

from __future__ import annotations

import re
from typing import Any

import click

from mpafer.cli import options
from mpafer.common.errors import OptionError, clear_errors


@click.command(context_settings=options.PAIRS)
@options.many
@options.cfg
@click.option(
    "--shots", envvar="SHOTS", type=options.Numbers(), default="-1", show_default=True,
    help="Training images a class, -1 = all; a run for each.",
)  # fmt: skip
@click.option("--grid", type=click.Path(exists=True, dir_okay=False), help="YAML: KEY: [a, b, c], one line a key.")
@click.option("--name", default="", help="Tables go to OUT/DATASET/NAME; default: sweep_METHOD and what is varied.")
@click.argument("method")
@options.dataset
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[KEY=a,b,c]... [KEY VALUE]...")
def command(method: str, dataset: str, words: tuple[str, ...], **chosen: Any) -> None:
    """A method over every combination of values, shots and seeds: run what is missing, then one table and one CSV.

    KEY=a,b,c varies an option; the method's own go by their short names: BETA=0.5,1,2. KEY VALUE pairs are the same for
    all runs. sweep.csv has a row for each run, sweep.md, .html, .tex and .json one for each combination.
    """
    with clear_errors():
        from mpafer.results.sweep import short_name, write_sweep
        from mpafer.runs.catalog import default_cfg
        from mpafer.runs.folders import TITLE
        from mpafer.runs.grid import plan, read_grid
        from mpafer.runs.plan import settings_name
        from mpafer.runs.words import read_options

        if not re.fullmatch(r"[\w.+=-]*", chosen["name"]):
            raise OptionError(f"--name is a folder's name: letters, digits and . _ + = -, not {chosen['name']!r}")
        place, cfg = options.place(chosen), chosen["cfg"] or default_cfg(dataset)
        varied = [word for word in words if "=" in word and word.partition("=")[0].replace(".", "_").isidentifier()]
        fixed = read_options([word for word in words if word not in varied])
        grid = read_grid(method, chosen["grid"], varied)
        points = plan(method, dataset, cfg, chosen["shots"], grid, fixed, chosen["seeds"], place)
        title = f"{method} on {dict(fixed).get(TITLE) or dataset}: {' x '.join(grid)}"
        name = chosen["name"] or settings_name("_".join(["sweep", method, *map(short_name, grid)]), fixed, place)
        options.run_and_write(
            [job for _, jobs in points for job in jobs],
            options.how(chosen),
            lambda: write_sweep(
                title,
                [(point, jobs[0].shots, jobs[0].group) for point, jobs in points],
                place.of(dataset, fixed) / name,
            ),
        )
