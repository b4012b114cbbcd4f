"""`mpafer export`: a finished run as an ONNX file."""

from __future__ import annotations

import click

from mpafer.cli import options
from mpafer.common.errors import clear_errors


@click.command()
@click.option("--onnx", required=True, type=click.Path(), metavar="FILE", help="The file to write.")
@click.option("--epoch", type=int, help="Which checkpoint; default: the best one, or else the last.")
@click.option("--backbone", default="", help="CLIP by name or path, where it has moved.")
@options.imports
@click.argument("run")
def command(run: str, onnx: str, epoch: int | None, backbone: str) -> None:
    """A finished run as one ONNX file: RUN is a folder that training wrote (.../seed1), or a file of mpafer.save.

    The image tower with its prompts, the classes' text features as constants, and the method's similarity, for
    batches of any size. The file is compared with torch before it is there. `mpafer predict --onnx FILE` reads it.
    """
    with clear_errors():
        from pathlib import Path

        from mpafer.export import export_onnx

        print(f"Exporting {run} ...", flush=True)
        found = export_onnx(run, onnx, epoch=epoch, backbone=backbone)
        print(f"{onnx}: {Path(onnx).expanduser().stat().st_size / 1e6:.1f} MB; {found}")
