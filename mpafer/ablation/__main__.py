"""The table of an ablation from its runs' results alone: `python -m mpafer.ablation NAME RUNS --out FOLDER`.

Writes ablation.md, .csv, .json and .html into FOLDER, and a curve where a number is varied. Runs nothing.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from mpafer.common.errors import clear_errors


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mpafer.ablation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", metavar="NAME", help="one of configs/ablations, or a YAML file like them")
    parser.add_argument("runs", metavar="RUNS", nargs="*", help="folders with the runs, e.g. output/rafdb")
    parser.add_argument("--out", metavar="FOLDER", help="where table and curve go")
    parser.add_argument("--stem", default="ablation", metavar="NAME", help="what its files are called (ablation)")
    parser.add_argument(
        "--where", nargs="+", default=[], metavar="KEY VALUE",
        help="keep runs with these config options, e.g. DATASET.NUM_SHOTS 16",
    )  # fmt: skip
    parser.add_argument(
        "--plan", nargs=argparse.REMAINDER, metavar="DATASET CFG [KEY VALUE ...]",
        help="instead: a line for each variant, its label and the KEY VALUE pairs of its runs, quoted for the shell",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if options.plan is None and not (options.runs and options.out):
        parser.error("a table needs RUNS and --out FOLDER")
    if options.plan is not None and len(options.plan) < 2:
        parser.error("--plan needs DATASET and CFG")
    with clear_errors():
        if options.plan is not None:
            print_plan(options.name, *options.plan)
        else:
            write_ablation(options.name, options.runs, options.out, options.stem, options.where)


def print_plan(name: str, dataset: str, cfg: str, *pairs: str) -> None:
    """What `mpafer.ablation.plan.plan` gives, for the shell."""
    from mpafer.ablation.plan import plan

    for label, words in plan(name, dataset, cfg, pairs).items():
        print(shlex.join([label, *words]))


def write_ablation(name: str, runs: Sequence[str], out: str, stem: str = "ablation", where: Sequence[str] = ()) -> None:
    """Everything in ``out``, and the table on the terminal; raises what `mpafer.ablation.table.ablate` does."""
    from mpafer.ablation.curve import draw_curve
    from mpafer.ablation.table import ablate
    from mpafer.ablation.variants import load_ablation
    from mpafer.compare.export import write_documents

    folder, comparison, doubling = Path(out), ablate(name, runs, where), load_ablation(name).doubling
    figures = [draw_curve(comparison, *doubling, folder, stem)] if doubling else []
    write_documents(comparison, figures, folder, stem)


if __name__ == "__main__":
    main()
