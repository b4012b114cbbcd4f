"""`mpafer check`: look a data set over before training on it."""

from __future__ import annotations

import json
import sys

import click

from mpafer.cli import options
from mpafer.common.errors import clear_errors


class Kind(click.ParamType):
    """An error that the doctor knows, by name."""

    name = "kind"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from mpafer.doctor.findings import KINDS

        errors = [kind for kind, about in KINDS.items() if about.severity == "error"]
        if value not in errors:
            self.fail(f"{value!r} is none of {', '.join(errors)}", param, ctx)
        return value


@click.command(context_settings=options.PAIRS)
@click.option("--root", "--data", envvar="DATA", default="", metavar="DATA", help="Folder of the data sets.")
@click.option("--json", "json_file", metavar="FILE", help="Write everything, unabridged; - = to stdout, and no text.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes that read images; default: one a core.")
@click.option(
    "--near-duplicates/--no-near-duplicates", "near", default=True, show_default=True,
    help="Look for pictures that are nearly equal, too.",
)  # fmt: skip
@click.option(
    "--accept", multiple=True, type=Kind(), metavar="KIND",
    help="Count an error that you know of as a warning, by the name in brackets; may be repeated.",
)  # fmt: skip
@options.imports
@options.dataset
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[KEY VALUE]...")
def command(
    dataset: str,
    words: tuple[str, ...],
    root: str,
    json_file: str | None,
    jobs: int | None,
    near: bool,
    accept: tuple[str, ...],
) -> None:
    """Look a data set over before training on it: a YAML of configs/datasets, as rafdb, or a class, as RAFDB.

    Prints the images per split and class beside the published numbers, then OK or a numbered list of what to do. The
    exit status is 1 where training or its evaluation would be wrong, and 0 with mere warnings.
    """
    with clear_errors():
        from mpafer.common.files import write_text
        from mpafer.doctor.checks import diagnose
        from mpafer.doctor.images import read_images
        from mpafer.doctor.output import as_json, as_text, status
        from mpafer.doctor.subject import configure, load

        subject = load(configure(dataset, root, words))
        facts = read_images((item.impath for items in subject.splits.values() for item in items), jobs)
        findings = diagnose(subject, facts, near=near, accept=accept)
        if json_file:
            text = json.dumps(as_json(subject, facts, findings), indent=1) + "\n"
            if json_file == "-":
                sys.stdout.write(text)
            else:
                write_text(json_file, text)
        if json_file != "-":
            print(as_text(subject, facts, findings))
        sys.exit(int(status(findings) == "errors"))
