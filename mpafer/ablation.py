"""The table of an ablation from its runs' results alone: `python -m mpafer.ablation NAME RUNS --out FOLDER`.

Writes ablation.md, .html, .tex, .csv and .json into FOLDER, and a curve where a number is varied. Runs nothing.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence

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
    parser.add_argument(
        "--note", nargs=argparse.REMAINDER, metavar="PLAN VARIANT FOLDER [VARIANT FOLDER ...]",
        help="instead: note in the folders of runs which variant of this plan they are; the table reads it there",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if options.plan is not None and len(options.plan) < 2:
        parser.error("--plan needs DATASET and CFG")
    if options.note is not None and (len(options.note) < 3 or not len(options.note) % 2):
        parser.error("--note needs PLAN, and pairs of VARIANT and FOLDER")
    if options.plan is None and options.note is None and not (options.runs and options.out):
        parser.error("a table needs RUNS and --out FOLDER")
    with clear_errors():
        if options.plan is not None:
            print_plan(options.name, *options.plan)
        elif options.note is not None:
            from mpafer.results.plans import note_plan
            from mpafer.results.variants import load_ablation

            plan, *pairs = options.note
            note_plan(load_ablation(options.name).name, plan, dict(zip(pairs[::2], pairs[1::2], strict=True)))
        else:
            from mpafer.results.ablation import write_ablation

            write_ablation(options.name, options.runs, options.out, options.stem, options.where)


def print_plan(name: str, dataset: str, cfg: str, *pairs: str) -> None:
    """What `mpafer.runs.ablation_plan.plan` gives, for the shell."""
    from mpafer.runs.ablation_plan import plan

    for label, words in plan(name, dataset, cfg, pairs).items():
        print(shlex.join([label, *words]))


if __name__ == "__main__":
    main()
