"""Class probabilities for photographs from a finished run: `python -m mpafer.predict RUN IMAGE [IMAGE ...]`.

RUN is a folder that train.py wrote (``.../seed1``). Faces should be cropped as the training images were.
"""

from __future__ import annotations

import argparse
import csv

from tabulate import tabulate

from mpafer.common.errors import clear_errors


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mpafer.predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="output folder of a run")
    parser.add_argument("images", nargs="+")
    parser.add_argument("--backbone", default="", help="CLIP by name or path, where it has moved")
    parser.add_argument("--device", default="", help="cuda or cpu; default: what there is")
    parser.add_argument("--csv", help="write the probabilities there")
    args = parser.parse_args()
    with clear_errors():
        import torch

        from mpafer.inference.saved import load_run, probabilities

        device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
        model, transform = load_run(args.run, backbone=args.backbone, device=device)
        table = probabilities(model, transform, args.images)
        rows = [[path, *row] for path, row in zip(args.images, table.tolist(), strict=True)]
        print(tabulate(rows, ["image", *model.classnames], floatfmt=".3f"))
        if args.csv:
            with open(args.csv, "w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([["image", *model.classnames], *rows])


if __name__ == "__main__":
    main()
