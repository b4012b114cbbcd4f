"""`mpafer run`: one method on one data set over seeds."""

from __future__ import annotations

from typing import Any

import click

from mpafer.cli import options
from mpafer.common.errors import clear_errors


@click.command(context_settings=options.PAIRS)
@options.many
@click.argument("method")
@options.dataset
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[CFG] [SHOTS] [KEY VALUE]...")
def command(method: str, dataset: str, words: tuple[str, ...], **chosen: Any) -> None:
    """A method on a data set: a run for each seed, then mean ± sample standard deviation.

    CFG is a YAML of configs/trainers/METHOD (vit_b16; tiny for drawn faces), SHOTS the training images a class (-1 =
    all). KEY VALUE pairs change the config, for example OPTIM.MAX_EPOCH 20. Finished runs are skipped, half-finished
    ones resumed.
    """
    with clear_errors():
        from mpafer.runs.plan import experiment
        from mpafer.runs.words import read_words

        cfg, shots, pairs = read_words(dataset, words)
        jobs = experiment(method, dataset, cfg, shots, pairs, chosen["seeds"], options.place(chosen))
        options.run_and_report(jobs, options.how(chosen, live=True))
