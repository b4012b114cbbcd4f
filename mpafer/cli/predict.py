"""`mpafer predict`: class probabilities for photographs from a finished run."""

from __future__ import annotations

import click
from tabulate import tabulate

from mpafer.cli import options
from mpafer.common.errors import clear_errors


@click.command()
@click.option("--backbone", default="", help="CLIP by name or path, where it has moved.")
@click.option("--device", default="", help="cuda or cpu; default: what there is.")
@click.option("--csv", "csv_file", type=click.Path(), metavar="F", help="Write the probabilities there.")
@options.imports
@click.argument("run")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
def command(run: str, images: tuple[str, ...], backbone: str, device: str, csv_file: str | None) -> None:
    """Class probabilities for photographs from a finished run: RUN is a folder that training wrote (.../seed1).

    Faces should be cropped as the training images were.
    """
    with clear_errors():
        from mpafer.common.devices import chosen_device
        from mpafer.common.files import write_text
        from mpafer.inference.saved import build_run, probabilities, read_run
        from mpafer.results.table import csv_text

        saved = read_run(run)
        model, transform = build_run(saved, backbone=backbone, device=chosen_device(device))
        rows = [
            [path, *row] for path, row in zip(images, probabilities(model, transform, images).tolist(), strict=True)
        ]
        header = ["image", *saved.display_names]
        print(tabulate(rows, header, floatfmt=".3f"))
        if csv_file:
            write_text(csv_file, csv_text([header, *rows]), newline="\r\n")
