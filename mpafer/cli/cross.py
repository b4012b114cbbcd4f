"""`mpafer cross`: train on one data set, test on others."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path
from typing import Any

import click

from mpafer.cli import options
from mpafer.common.errors import OptionError, clear_errors


class Cross(click.Command):
    """Keeps the words behind `--`, which click would take in with the others."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        cut = args.index("--") if "--" in args else len(args)
        ctx.meta["behind"] = args[cut + 1 :]
        return super().parse_args(ctx, args[:cut])


@click.command(cls=Cross, context_settings=options.PAIRS)
@options.many
@options.cfg
@click.option(
    "--method", envvar="METHOD", default="MPAFER", show_default=True, help="One that learns nothing runs once."
)
@click.option("--shots", envvar="SHOTS", default="-1", show_default=True, help="Training images a class, -1 = all.")
@click.argument("source", type=options.DatasetName())
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="TARGET... [KEY VALUE]... [-- KEY VALUE...]")
def command(source: str, words: tuple[str, ...], **chosen: Any) -> None:
    """Train on SOURCE, test on every TARGET: mean ± deviation over seeds, beside what was published.

    Finished runs are taken as they are. Images of classes that SOURCE does not have are dropped, and counted. KEY VALUE
    pairs change the training, but for TEST.CROSS_CLASSES keep|mask: may classes that TARGET lacks be answered? (keep).
    DATASET and DATALOADER.TEST pairs behind -- change the test. Tables: OUT/cross_dataset/SOURCE.

    Where SOURCE is the folder of a finished run, as output/rafdb/MPAFER/vit_b16_all/seed1, it is tested; where it is a
    folder of such tests, as output/cross_dataset/rafdb, and no TARGET is named, the tables are made again.
    """
    with clear_errors():
        from mpafer.results.cross import write_cross
        from mpafer.results.schema import RESULTS, RunResult
        from mpafer.run_config import dataset_file
        from mpafer.runs.catalog import default_cfg
        from mpafer.runs.cross import plan
        from mpafer.runs.execute import execute, finish
        from mpafer.runs.folders import TITLE, dataset_folder
        from mpafer.runs.plan import Job, experiment
        from mpafer.runs.words import read_options, read_shots

        place, how = options.place(chosen), options.how(chosen)
        targets = list(takewhile(lambda word: not re.match(r"[A-Z_]+(\.|$)", word), words))  # keys are in capitals
        pairs = read_options(words[len(targets) :])
        rule = tuple(pair for pair in pairs if pair[0] == "TEST.CROSS_CLASSES")
        training = tuple(pair for pair in pairs if pair not in rule)
        testing = rule + read_options(click.get_current_context().meta["behind"])
        is_folder = options.is_results(source)
        if is_folder and not targets:
            write_cross([source], source)
            return
        if not targets:
            raise OptionError("no data set to test on")
        jobs: list[Job] = []
        if is_folder:
            result = RunResult.read(Path(source, RESULTS))
            trained, method = [Path(source)], result.trainer
            title = ((TITLE, result.title),) if result.title != result.dataset else ()
            name = dataset_folder(Path(dataset_file(result.dataset) or result.dataset).stem, title)
        else:
            name, method, cfg = dataset_folder(source, training), chosen["method"], chosen["cfg"] or default_cfg(source)
            jobs = experiment(method, source, cfg, read_shots(chosen["shots"]), training, chosen["seeds"], place)
            trained = [job.folder for job in jobs]
        # made before anything runs, as it refuses unknown data sets
        tests = plan(trained, targets, Path(place.out), name, method, place.data, testing)
        failures = (execute(jobs, how) if jobs else None) or []
        failures += execute([test for test in tests if how.plan or (test.trained / RESULTS).is_file()], how) or []
        if any(test.finished for test in tests) and not how.plan:
            home = Path(place.out, "cross_dataset", name)
            write_cross([home], home)
        finish(failures)
