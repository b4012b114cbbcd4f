"""Test a finished run on another data set: `python -m mpafer.cross RUN --dataset NAME --root DATA --out DIR`.

Older form of `mpafer cross RUN NAME`.

Classes are matched by name. Images of classes the run does not know are dropped; TEST.CROSS_CLASSES keep | mask says
whether classes that the data set lacks may be answered. Backbone and transform are the run's.

`python -m mpafer.cross --table DIR --out FOLDER` makes the tables of all such tests under DIR: cross_dataset.md, .html,
.tex, .csv and .json; published figures, where there are any for the data set trained on, stand in a block of their own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mpafer.common.errors import clear_errors


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mpafer.cross", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", nargs="?", help="output folder of a finished run (.../seed1)")
    parser.add_argument("--dataset", metavar="NAME", help="its YAML in configs/datasets, or its class")
    parser.add_argument("--root", metavar="DATA", help="folder of the data sets")
    parser.add_argument("--out", required=True, metavar="DIR", help="where results.json and scores.npz, or tables go")
    parser.add_argument("--epoch", type=int, help="checkpoint to load; default: the best, else the last")
    parser.add_argument("--backbone", default="", help="CLIP by name or path, where it has moved")
    parser.add_argument("--device", default="", help="cuda or cpu; default: what there is")
    parser.add_argument("--table", nargs="+", metavar="DIR", help="instead: tables of the tests under these folders")
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="DATASET., DATALOADER., TEST.CROSS_CLASSES")
    args = parser.parse_intermixed_args(arguments)
    if not args.table and not (args.run and args.dataset and args.root):
        parser.error("a test needs RUN, --dataset and --root; tables need --table")
    with clear_errors():
        if args.table:
            from mpafer.results.cross import write_cross

            write_cross(args.table, args.out)
        else:
            from mpafer.inference.cross import evaluate_and_tell

            evaluate_and_tell(
                args.run, args.dataset, args.root, args.out,
                options=args.opts, epoch=args.epoch, backbone=args.backbone, device=args.device,
            )  # fmt: skip


if __name__ == "__main__":
    main()
