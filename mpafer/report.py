"""Tables from results.json of finished runs: `python -m mpafer.report DIR [DIR ...] [--csv F] [--json F]`.

Runs in folders called seed1, seed2, ... under one parent are one row: mean ± sample standard deviation.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from mpafer.common.errors import clear_errors


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m mpafer.report", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folders", nargs="+", metavar="DIR", help="searched for results.json, however deep")
    parser.add_argument("--csv", metavar="F", help="write the rows, unrounded, as CSV")
    parser.add_argument("--json", metavar="F", help="write the rows, unrounded, as JSON")
    options = parser.parse_args(arguments)
    with clear_errors():
        from mpafer.results.summary import as_text, summarise
        from mpafer.results.table import as_csv

        rows = summarise(options.folders)
        print(as_text(rows))
        if options.csv:
            Path(options.csv).write_text(as_csv(rows), "utf-8", newline="\r\n")
        if options.json:
            Path(options.json).write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
