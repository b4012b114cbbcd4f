"""`mpafer predict`: expressions of faces in photographs, videos and before a camera."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mpafer.cli import options
from mpafer.common.errors import OptionError, clear_errors

if TYPE_CHECKING:
    from mpafer.inference.answers import Answer, FaceAnswer
    from mpafer.inference.predictor import Predictor
    from mpafer.video.session import Session


@click.command()
@click.option("--run", metavar="RUN", help="A folder that training wrote (.../seed1), or a file of mpafer.save.")
@click.option("--zero-shot", is_flag=True, help="CLIP itself, without any training.")
@click.option("--onnx", type=click.Path(), metavar="FILE", help="A file that mpafer export wrote.")
@click.option("--classes", metavar="A,B,C", help="With --zero-shot: the classes; default: the seven expressions.")
@click.option("--backbone", default="", help="CLIP by name or path: with --zero-shot which; with --run, where it is.")
@click.option("--prec", default="", metavar="P", help="Precision: fp32, fp16, amp or bf16; default: the run's.")
@click.option("--device", default="", help="cuda or cpu; default: what there is.")
@click.option(
    "--faces", default="auto", show_default=True, type=click.Choice(["auto", "all", "largest", "none"]),
    help="What is read. auto: each face, or the whole picture where it is one face already or no face is found.",
)  # fmt: skip
@click.option(
    "--detector", default="centerface", show_default=True, metavar="D", help="Of faces; or the path of a YuNet file."
)
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(1), help="Faces at a time.")
@click.option("--csv", "csv_file", type=click.Path(), metavar="F", help="Write a row for each face there.")
@click.option("--json", "json_file", type=click.Path(), metavar="F", help="Write everything there.")
@click.option("--save", metavar="DIR", help="Write pictures and videos with the answers drawn on them, and timelines.")
@click.option("--every", default=1, show_default=True, type=click.IntRange(1), help="Videos: each n-th frame.")
@click.option("--fps", default=0.0, type=click.FloatRange(0), help="Videos: so many frames a second; default: all.")
@click.option("--seconds", default=0.0, type=click.FloatRange(0), help="Videos, cameras: only the first so many.")
@click.option(
    "--smooth", default=0.0, type=click.FloatRange(0), metavar="SECONDS",
    help="Videos: average a face's probabilities over time, with weights that fall by e in so many seconds.",
)  # fmt: skip
@options.imports
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
def command(sources: tuple[str, ...], csv_file: str | None, json_file: str | None, **chosen: Any) -> None:
    """Expressions of faces in SOURCEs: files, folders at any depth, patterns, videos, camera:0.

    Without --run, --zero-shot or --onnx the prompts that ship with the package answer: they are for drawn faces only.
    The older form RUN IMAGE... works too. What cannot be read is named at the end, with exit status 1.
    """
    with clear_errors():
        from mpafer.common.files import make_folder, write_text
        from mpafer.inference.sources import split_run
        from mpafer.results.table import csv_text
        from mpafer.video.reading import Pace
        from mpafer.video.session import Session

        words: Sequence[str] = sources
        if not (chosen["run"] or chosen["zero_shot"] or chosen["onnx"]):
            chosen["run"], words = split_run(words)
        predictor = _predictor(**chosen)
        pace = Pace(chosen["every"], chosen["fps"], chosen["seconds"])
        save = make_folder(Path(chosen["save"]).expanduser(), "--save") if chosen["save"] else None
        session = Session(predictor, pace, chosen["smooth"], save)
        session.look_at(words)
        _print(session)
        if csv_file:
            write_text(csv_file, csv_text([session.heading, *session.rows]), newline="\r\n")
        if json_file:
            about = {"classnames": predictor.classnames, "answers": session.records, "failed": session.failed}
            write_text(json_file, json.dumps(about, indent=1))
    if session.failed:
        raise SystemExit("\n".join(["error: could not be read:", *(f"  {message}" for message in session.failed)]))


def _predictor(
    run: str | None, zero_shot: bool, onnx: str | None, classes: str | None, backbone: str, device: str, prec: str,
    faces: str, detector: str, batch_size: int, **rest: Any,
) -> Predictor:  # fmt: skip
    from mpafer.inference.predictor import Predictor

    how: dict[str, Any] = {"faces": faces, "detector": detector, "batch_size": batch_size}
    if bool(run) + zero_shot + bool(onnx) > 1:
        raise OptionError("name one of --run, --zero-shot and --onnx")
    if classes and not zero_shot:
        raise OptionError("--classes is of --zero-shot: a trained model has its own")
    if onnx and (backbone or device or prec):
        raise OptionError("--onnx has no use for --backbone, --device and --prec: all is in the file")
    if onnx:
        return Predictor.from_onnx(onnx, **how)
    if zero_shot:
        from mpafer.clip import load_clip
        from mpafer.common.devices import chosen_device
        from mpafer.prompting.expressions import CLASSES

        names = [name.strip() for name in classes.split(",")] if classes else CLASSES[:7]
        clip = load_clip(backbone or "ViT-B/16", device=chosen_device(device))
        return Predictor.zero_shot(clip, names, prec=prec or "fp32", **how)
    how |= {"backbone": backbone, "device": device, "prec": prec}
    return Predictor(run, **how) if run else Predictor.drawn_faces(**how)


def _print(session: Session) -> None:
    """A row for each face of the pictures and of the videos; then what was read of the pictures."""
    from tabulate import tabulate

    def whole(answer: Answer) -> Sequence[Answer | FaceAnswer]:
        return [answer]

    classes, note = session.predictor.classnames, session.predictor.classifier.note
    ends = [note] if note else []
    rows = [
        [answer.image, number or "whole", each.label, *each.probabilities.values(), *ends]
        for answer in session.pictures
        if answer.label
        for number, each in enumerate(answer.faces or whole(answer), start=bool(answer.faces))
    ]
    head = [*classes, *(["note"] if note else [])]
    if rows:
        print(tabulate(rows, ["image", "face", "label", *head], floatfmt=".3f"))
    for timeline in session.timelines:
        print(f"\n{timeline.name}")
        shown = [[*row, *ends] for row in timeline.summary()]
        print(tabulate(shown, [*timeline.HEAD, *head], floatfmt=("", "g", "g", "g", "", *[".3f"] * len(classes))))
    print()
    for reading, count in session.readings().most_common():
        print(f"{count:,} image{'s' if count > 1 else ''}: {reading}")
