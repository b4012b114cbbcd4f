"""Test a finished run on another data set: `python -m mpafer.cross RUN --dataset NAME --root DATA --out DIR`.

Classes are matched by name. Images of classes the run does not know are dropped; TEST.CROSS_CLASSES keep | mask says
whether classes that the data set lacks may be answered. Backbone and transform are the run's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mpafer.common.errors import clear_errors


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mpafer.cross", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", help="output folder of a finished run (.../seed1)")
    parser.add_argument("--dataset", required=True, metavar="NAME", help="its YAML in configs/datasets, or its class")
    parser.add_argument("--root", required=True, metavar="DATA", help="folder of the data sets")
    parser.add_argument("--out", required=True, metavar="DIR", help="where results.json and scores.npz go")
    parser.add_argument("--epoch", type=int, help="checkpoint to load; default: the best, else the last")
    parser.add_argument("--backbone", default="", help="CLIP by name or path, where it has moved")
    parser.add_argument("--device", default="", help="cuda or cpu; default: what there is")
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="DATASET., DATALOADER., TEST.CROSS_CLASSES")
    args = parser.parse_intermixed_args(arguments)
    with clear_errors():
        import torch

        from mpafer.inference.cross import evaluate

        device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
        record = evaluate(
            args.run, args.dataset, args.root, args.out,
            options=args.opts, epoch=args.epoch, backbone=args.backbone, device=device,
        )  # fmt: skip
        metrics = record["metrics"]
        print(f"* accuracy: {metrics['accuracy']:.1f}%\n* uar: {metrics['uar']:.1f}%\nWritten: {args.out}")


if __name__ == "__main__":
    main()
