"""`mpafer datasets`: what there is to train and test on."""

from __future__ import annotations

import click
from tabulate import tabulate

from mpafer.cli import options
from mpafer.common.errors import clear_errors


@click.command()
@options.imports
def command() -> None:
    """The data sets, their classes, their published numbers of images and their own options."""
    with clear_errors():
        from mpafer.common.config import read_file
        from mpafer.configs import ROOT, shipped
        from mpafer.run_config import datasets

        names = {read_file(ROOT / "datasets" / f"{name}.yaml")["DATASET.NAME"]: name for name in shipped("datasets")}
        rows = []
        for name, dataset in datasets().items():
            images = {
                split: f"{count if isinstance(count, int) else sum(count):,}"
                for split, count in dataset.published.items()
            }
            own = " ".join(f"DATASET.{key}" for key in dataset.Options().node())
            rows.append([names.get(name, name), name, len(dataset.classes), *map(images.get, SPLITS), own])
        print(tabulate(rows, ["name", "class", "classes", *SPLITS, "options"]))


SPLITS = ("train", "val", "test")  # published numbers of images
