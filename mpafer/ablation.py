"""The table of an ablation from its runs' results alone: `python -m mpafer.ablation NAME RUNS --out FOLDER`.

Older form of `mpafer ablate NAME RUNS`.

Writes ablation.md, .html, .tex, .csv and .json into FOLDER, and a curve where a number is varied. Runs nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mpafer.common.errors import clear_errors


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mpafer.ablation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", metavar="NAME", help="one of configs/ablations, or a YAML file like them")
    parser.add_argument("runs", metavar="RUNS", nargs="+", help="folders with the runs, e.g. output/rafdb")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where table and curve go")
    parser.add_argument("--stem", default="ablation", metavar="NAME", help="what its files are called (ablation)")
    parser.add_argument(
        "--where", nargs="+", default=[], metavar="KEY VALUE",
        help="keep runs with these config options, e.g. DATASET.NUM_SHOTS 16",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    with clear_errors():
        from mpafer.results.ablation import write_ablation

        write_ablation(options.name, options.runs, options.out, options.stem, options.where)


if __name__ == "__main__":
    main()
