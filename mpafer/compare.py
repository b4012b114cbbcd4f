"""Compare methods on one data set from their results alone: `python -m mpafer.compare RUNS --out FOLDER`.

Older form of `mpafer compare RUNS`.

Writes comparison.md, .html, .tex, .csv, .json and figures into FOLDER. Runs nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mpafer.common.errors import clear_errors


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mpafer.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", metavar="RUNS", help="folder of one data set's runs, e.g. output/rafdb")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where tables and figures go")
    parser.add_argument(
        "--reference", default="MPAFER", metavar="METHOD", help="the method that the others are compared with (MPAFER)"
    )
    parser.add_argument(
        "--shots", type=int, nargs="+", metavar="N", help="images a class, -1 = all; default: all found"
    )
    parser.add_argument("--cfg", nargs="+", metavar="CFG", help="configs, as the folders name them; default: all found")
    options = parser.parse_args(arguments)
    with clear_errors():
        from mpafer.results.comparison_pages import write_comparison

        write_comparison(options.runs, options.out, options.reference, options.shots, options.cfg)


if __name__ == "__main__":
    main()
