"""Compare methods on one data set from their results alone: `python -m mpafer.compare RUNS --out FOLDER`.

Writes comparison.md, .csv, .json, .html and figures into FOLDER. Runs nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

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
        write_comparison(options.runs, options.out, options.reference, options.shots, options.cfg)


def write_comparison(
    runs: str,
    out: str,
    reference: str = "MPAFER",
    shots: Sequence[int] | None = None,
    cfgs: Sequence[str] | None = None,
) -> None:
    """Everything in ``out``, and the tables on the terminal.

    Raises:
        FileNotFoundError: no results, or none that is asked for.
        ValueError: results that cannot be read or compared; the files are named.
    """
    from mpafer.compare.export import write_documents
    from mpafer.compare.figures import draw_figures
    from mpafer.compare.runs import load_experiments
    from mpafer.compare.table import compare

    folder = Path(out)
    comparison = compare(load_experiments(runs, shots, cfgs), reference, shots or ())
    write_documents(comparison, draw_figures(comparison, folder), folder, "comparison")


if __name__ == "__main__":
    main()
