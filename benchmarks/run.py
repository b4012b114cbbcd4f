"""Every speed figure of the README, by one command:

    python benchmarks/run.py                                 # all rows that take minutes
    python benchmarks/run.py --upstream DIR --json all.json  # DIR holds checkouts of upstream MaPLe and Dassl,
                                                             # `maple` and `dassl`: without it those rows say so
    python benchmarks/run.py --rows step evaluation --repeats 9 --threads 2
    python benchmarks/run.py --rows compare torchrun         # whole runs: minutes each, on a machine that is idle

Ours and theirs run in turns in one process; a ratio is the median over the rounds, with minimum and maximum.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Callable
from pathlib import Path

import torch
from common import SIZES, Row, Settings, machine
from tabulate import tabulate

# row -> module and function, Settings -> list[Row]
ROWS = {
    "floor": "floor.measure",
    "step": "step.measure",
    "evaluation": "evaluation.measure",
    "predictions": "evaluation.predictions",
    "input": "input.measure",
    "import": "imports.measure",
    "memory": "memory.measure",
    "gpu": "gpu.measure",
    "doctor": "doctor.measure",
    "cold": "predicting.cold",
    "video": "predicting.video",
    "compare": "parallel.compare",
    "overhead": "parallel.overhead",
    "torchrun": "parallel.torchrun",
}
LONG = ("compare", "overhead", "torchrun")  # only by name
HEAD = ["what", "target", "ours", "theirs", "unit", "ratio, median (min - max)", "met"]


def row_function(name: str) -> Callable[[Settings], list[Row]]:
    module, function = ROWS[name].split(".")
    return getattr(importlib.import_module(module), function)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = [name for name in ROWS if name not in LONG]
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=usual, metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--upstream", type=Path, metavar="DIR", help="folder with the checkouts maple and dassl")
    parser.add_argument("--size", choices=SIZES, default="ViT-B/16", help="shape of the random CLIP")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--threads", type=int, help="of torch; default: its own choice")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    upstream = args.upstream.resolve() if args.upstream else None
    settings = Settings(args.size, args.batch, args.repeats, upstream)
    about = machine() | {"size": args.size, "batch": args.batch, "repeats": args.repeats}
    print(", ".join(f"{key} {value}" for key, value in about.items()), flush=True)
    rows: list[Row] = []
    for name in args.rows:
        found = row_function(name)(settings)
        rows += found
        print(tabulate([row.cells() for row in found], HEAD, disable_numparse=True))
        print("\n".join(f"  {row.name}: {row.note}" for row in found if row.note), flush=True)
        if args.json:  # after each, so that a run cut short leaves what it has
            args.json.write_text(json.dumps({"machine": about, "rows": [row.record() for row in rows]}, indent=1))


if __name__ == "__main__":
    main()
