"""Options that several verbs share; most can be given by an environment variable too, as the scripts have it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mpafer.common.extensions import VARIABLE, keep_imports

if TYPE_CHECKING:
    from mpafer.runs.execute import How
    from mpafer.runs.plan import Job, Place

Command = Callable[..., Any]
# KEY VALUE pairs are left as they are: -1 is a value there
PAIRS = {"ignore_unknown_options": True}


class Numbers(click.ParamType):
    """Whole numbers with blanks or commas between."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        words = [word for word in re.split(r"[\s,]+", value) if word]
        if not words or not all(re.fullmatch(r"-?\d+", word) for word in words):
            self.fail(f"whole numbers with blanks between, not {value!r}", param, ctx)
        return tuple(dict.fromkeys(map(int, words)))


class DatasetName(click.ParamType):
    """A data set; where it is left out, all are named."""

    name = "dataset"

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        from mpafer.configs import shipped

        return f"One of {' '.join(shipped('datasets'))}, or a class from elsewhere."


def _keep_imports(ctx: click.Context, param: click.Parameter, names: tuple[str, ...]) -> None:
    keep_imports(names)


imports = click.option(
    "--import", "imports", multiple=True, metavar="NAME", expose_value=False, callback=_keep_imports, is_eager=True,
    help=f"A module or a .py file with methods or data sets of your own; {VARIABLE} has the same. May be repeated.",
)  # fmt: skip
cfg = click.option("--cfg", envvar="CFG", default="", help="The config; default: vit_b16, tiny for drawn faces.")
dataset = click.argument("dataset", type=DatasetName())
_WHERE = [
    click.option("--data", envvar="DATA", default="./data", show_default=True, help="Folder of the data sets."),
    click.option("--out", envvar="OUT", default="output", show_default=True, help="Folder of the results."),
    click.option("--seeds", envvar="SEEDS", type=Numbers(), default="1 2 3", show_default=True, help="A run for each."),
    click.option(
        "--force",
        is_flag=True,
        help="Move aside what is of other options or data in a run's folder, and run.",
    ),
    click.option("--tag", envvar="TAG", default="", help="More to tell this run's folder from others by."),
    imports,
]
_HOW = [
    click.option("--plan", is_flag=True, help="Print the commands of the runs, and run nothing."),
    click.option(
        "--jobs", envvar="JOBS", type=click.IntRange(1), default=1, show_default=True,
        help="Runs at once; each has its own GPU where there are that many, and its share of the processors.",
    ),
    click.option(
        "--launcher", envvar="LAUNCHER", type=click.Choice(["local", "slurm"]), default="local", show_default=True,
        help="slurm: a job array, JOBS tasks at once; started again, the command does what is left.",
    ),
    click.option("--partition", envvar="PARTITION", metavar="NAME", help="Slurm: where to run."),
    click.option("--time", "minutes", type=click.IntRange(1), default=240, show_default=True, metavar="MINUTES",
                 help="Slurm: of a run; one that takes longer is requeued, and goes on."),
    click.option("--gpus", type=click.IntRange(0), default=1, show_default=True, help="Slurm: of a run."),
    click.option("--cpus", type=click.IntRange(1), default=4, show_default=True, help="Slurm: of a run."),
    click.option(
        "--slurm", "extra", multiple=True, metavar="KEY=VALUE", help="Slurm: any option of sbatch, as account=me.",
    ),
]  # fmt: skip


def many(command: Command) -> Command:
    """What verbs that start runs have in common."""
    for option in reversed([*_WHERE, *_HOW]):
        command = option(command)
    return command


def place(chosen: Mapping[str, Any]) -> Place:
    """Where data lie and results go, of the options."""
    from mpafer.runs.plan import Place

    return Place(os.path.expanduser(chosen["data"]), os.path.expanduser(chosen["out"]), chosen["tag"], chosen["force"])


def how(chosen: Mapping[str, Any], *, live: bool = False) -> How:
    """How to do the runs, of the options."""
    from mpafer.runs.execute import How

    cluster = None
    if chosen["launcher"] == "slurm":
        from mpafer.runs.slurm import Cluster

        extra = [word.partition("=") for word in chosen["extra"]]
        cluster = Cluster(
            chosen["partition"], chosen["minutes"], chosen["gpus"], chosen["cpus"],
            Path(os.path.expanduser(chosen["out"]), "slurm").absolute(),
            {key.removeprefix("--").replace("-", "_"): value for key, _, value in extra},
        )  # fmt: skip
    return How(chosen["jobs"], chosen["plan"], cluster, live)


def is_results(word: str) -> bool:
    """Whether a folder of results stands in place of a data set's name."""
    from mpafer.configs import shipped

    return word not in shipped("datasets") and os.path.isdir(word)


def run_and_report(jobs: Sequence[Job], how: How) -> None:
    """Do the runs, then print mean ± deviation of each experiment."""
    from mpafer.results.summary import as_text, summarise

    run_and_write(
        jobs, how, lambda: print(as_text(summarise(dict.fromkeys(job.group for job in jobs if job.finished))))
    )


def run_and_write(jobs: Sequence[Job], how: How, write: Callable[[], None]) -> None:
    """Do the runs, then make the tables of what there is, then name the runs that failed."""
    from mpafer.runs.execute import execute, finish

    failures = execute(jobs, how)
    if failures is None:
        return
    if any(job.finished for job in jobs):
        print()
        write()
    finish(failures)
