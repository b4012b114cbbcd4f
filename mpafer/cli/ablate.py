"""`mpafer ablate`: variants of MPA-FER side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mpafer.cli import options
from mpafer.common.errors import clear_errors


@click.command(context_settings=options.PAIRS)
@options.many
@click.option(
    "--split", envvar="SPLIT", type=click.Choice(["test", "val"]), default="test", show_default=True,
    help="val: evaluate on validation images, cut from training where there are none, to choose an option by.",
)  # fmt: skip
@click.argument("name")
@options.dataset
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[CFG] [SHOTS] [KEY VALUE]...")
def command(name: str, dataset: str, words: tuple[str, ...], **chosen: Any) -> None:
    """An ablation, a YAML of configs/ablations or of your own: run what is missing, then a table, and a curve.

    Runs are those of `mpafer run MPAFER`: finished ones are skipped. Tables: OUT/DATASET/ablation_NAME.

    Where DATASET is a folder of runs, as output/rafdb, nothing is run: the table is made from the runs there that were
    started as variants of NAME; KEY VALUE pairs choose among them.
    """
    with clear_errors():
        from mpafer.results.ablation import write_ablation
        from mpafer.results.plans import note_plan
        from mpafer.results.variants import load_ablation
        from mpafer.runs.ablation_plan import plan
        from mpafer.runs.folders import dataset_folder
        from mpafer.runs.plan import experiment
        from mpafer.runs.words import read_options, read_words

        ablation = load_ablation(name).name
        if options.is_results(dataset):
            write_ablation(name, [dataset], Path(dataset, f"ablation_{ablation}"), where=words)
            return
        place = options.place(chosen)
        cfg, shots, pairs = read_words(dataset, words)
        pairs += (("TEST.SPLIT", "val"),) if chosen["split"] == "val" else ()
        plain = experiment("MPAFER", dataset, cfg, shots, pairs, chosen["seeds"], place)[0].group.name
        variants = {
            label: experiment("MPAFER", dataset, cfg, shots, read_options(words), chosen["seeds"], place, label)
            for label, words in plan(name, dataset, cfg, [word for pair in pairs for word in pair]).items()
        }
        how = options.how(chosen)
        if not how.plan:  # the table finds the runs by it
            groups = {label: jobs[0].group for label, jobs in variants.items()}
            note_plan(ablation, f"{dataset_folder(dataset, pairs)}/{plain}", groups)

        def write() -> None:
            groups = [jobs[0].group for jobs in variants.values() if any(job.finished for job in jobs)]
            write_ablation(name, groups, place.of(dataset, pairs) / f"ablation_{ablation}", plain)

        options.run_and_write([job for jobs in variants.values() for job in jobs], how, write)
