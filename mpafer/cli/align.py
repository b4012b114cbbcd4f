"""`mpafer align`: aligned copies of a folder of photographs, to train on."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mpafer.common.errors import clear_errors


@click.command()
@click.option(
    "--template", default="measured", show_default=True, metavar="measured|default|RUN",
    help="Where eyes and mouth go: where SRC has them on average, a stated default, or as in a run's training.",
)  # fmt: skip
@click.option("--size", type=click.IntRange(16, 4096), default=224, show_default=True, help="Side in pixels.")
@click.option(
    "--no-face", type=click.Choice(["square", "skip"]), default="square", show_default=True,
    help="An image without a face: keep its centre square, or leave it out.",
)  # fmt: skip
@click.option(
    "--detector", default="centerface", show_default=True, metavar="centerface|FILE",
    help="What finds faces; FILE is a YuNet .onnx file.",
)  # fmt: skip
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes; default: one a core.")
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path))
@click.argument("target", metavar="DST", type=click.Path(path_type=Path))
def command(
    source: Path, target: Path, template: str, size: int, no_face: str, detector: str, jobs: int | None
) -> None:
    """Aligned copies of the photographs under SRC, at any depth, with their names, under DST.

    The largest face of each is turned, scaled and moved so that eyes and mouth lie where the template has them.
    DST/align.csv says of each image what was done. Started again, it goes on. The exit status is 1 where an image could
    not be read.
    """
    with clear_errors():
        from mpafer.faces.copies import UNREADABLE
        from mpafer.inference.aligned import LIST, Order, align_folder, in_words

        lines = align_folder(Order(source, target, template, detector, size, no_face == "skip"), jobs)
        print(f"{in_words(lines)}\nOf each: {target / LIST}")
        unreadable = [line.done.removeprefix(f"{UNREADABLE}: ") for line in lines if line.done.startswith(UNREADABLE)]
        for reason in unreadable:
            print(reason, file=sys.stderr)
        sys.exit(int(bool(unreadable)))
