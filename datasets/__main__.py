"""Look a data set over before training on it: `python -m mpafer.datasets check NAME --root DATA [KEY VALUE ...]`.

Prints the images per split and class beside the published numbers, then OK or a numbered list of what to do.
The exit status is 1 where training or its evaluation would be wrong, and 0 with mere warnings.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from mpafer.common.errors import clear_errors


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    from mpafer.doctor.findings import KINDS

    errors = [kind for kind, about in KINDS.items() if about.severity == "error"]
    parser = argparse.ArgumentParser(
        prog="python -m mpafer.datasets", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["check"])
    parser.add_argument("name", metavar="NAME", help="a YAML of configs/datasets, as rafdb, or a class, as RAFDB")
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="config options, as train.py takes them")
    parser.add_argument("--root", default="", metavar="DATA", help="folder of the data sets")
    parser.add_argument("--json", metavar="FILE", help="write everything, unabridged; - = to stdout, and no text")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes that read images; default: one a core")
    parser.add_argument(
        "--near-duplicates",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look for pictures that are nearly equal, too",
    )
    parser.add_argument(
        "--accept",
        action="append",
        default=[],
        choices=errors,
        metavar="KIND",
        help="count an error that you know of as a warning, by the name in brackets; may be repeated",
    )
    return parser.parse_intermixed_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_args(arguments)
    with clear_errors():
        sys.exit(check(args))


def check(args: argparse.Namespace) -> int:
    """The exit status of a data set, whose report is printed or written."""
    from mpafer.doctor.checks import diagnose
    from mpafer.doctor.images import read_images
    from mpafer.doctor.output import as_json, as_text, status
    from mpafer.doctor.subject import configure, load

    subject = load(configure(args.name, args.root, args.opts))
    facts = read_images((item.impath for items in subject.splits.values() for item in items), args.jobs)
    findings = diagnose(subject, facts, near=args.near_duplicates, accept=args.accept)
    if args.json:
        text = json.dumps(as_json(subject, facts, findings), indent=1) + "\n"
        if args.json == "-":
            sys.stdout.write(text)
        else:
            Path(args.json).write_text(text, "utf-8")
    if args.json != "-":
        print(as_text(subject, facts, findings))
    return int(status(findings) == "errors")


if __name__ == "__main__":
    main()
