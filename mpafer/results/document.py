"""What a question to the results is answered with: sections of text, tables and figures, in every form."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpafer.common.files import atomic_file
from mpafer.results.latex import as_latex
from mpafer.results.table import Table, one_line

DRAWN = "These are drawn faces: the numbers, and the order of the methods, say nothing about photographs."


@dataclass(frozen=True)
class Figure:
    """An image beside the document, as PNG, and as PDF and SVG under the same name."""

    file: str  # the PNG, relative to the document's folder
    caption: str


@dataclass(frozen=True)
class Section:
    """``detail``: not for the terminal."""

    title: str
    level: int
    blocks: list[str | Table | Figure] = field(default_factory=list)
    detail: bool = False


def markdown(document: Sequence[Section]) -> str:
    """GitHub's Markdown."""
    parts = []
    for section in document:
        parts.append(f"{'#' * section.level} {one_line(section.title)}")
        for block in section.blocks:
            if isinstance(block, Table):
                parts.append(block.text("github"))
            elif isinstance(block, Figure):
                parts.append(f"![{one_line(block.caption)}]({block.file})")
            else:
                parts.append(block)
    return "\n\n".join(parts) + "\n"


def terminal(document: Sequence[Section]) -> str:
    """Without details, the tables alone."""
    parts = []
    for section in document:
        if not section.detail:
            tables = [block.text("simple") for block in section.blocks if isinstance(block, Table)]
            parts += [section.title, *tables]
    return "\n\n".join(parts)


def page(document: Sequence[Section], folder: Path) -> str:
    """One HTML file that needs nothing else: style and figures, read from ``folder``, are inside."""
    from jinja2 import Environment, FileSystemLoader

    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.tests["table"] = lambda block: isinstance(block, Table)
    environment.tests["figure"] = lambda block: isinstance(block, Figure)
    environment.filters["png"] = lambda figure: base64.b64encode((folder / figure.file).read_bytes()).decode()
    return environment.get_template("page.html.j2").render(document=document) + "\n"


def _captioned(document: Sequence[Section]) -> list[tuple[str, Table]]:
    """Every table with a caption that tells the whole: the document's title and the section's."""
    title = document[0].title + (" (drawn faces)" if DRAWN in document[0].blocks else "")
    return [
        (title if section is document[0] else f"{title}. {section.title}", block)
        for section in document
        for block in section.blocks
        if isinstance(block, Table)
    ]


def write_document(
    document: Sequence[Section],
    folder: str | Path,
    stem: str,
    *,
    csv: str,
    content: Mapping[str, Any],
    warnings: Sequence[str] = (),
) -> None:
    """Write ``stem``.md, .html, .tex, .csv and .json where the figures are, and the tables on the terminal.

    Args:
        document: what people read.
        folder: made where it is not there.
        stem: the files' name.
        csv: the measured rows, unrounded.
        content: the same for programs, as JSON.
        warnings: go to standard error too.
    """
    folder = Path(folder)
    texts = {
        "md": markdown(document),
        "csv": csv,
        "json": json.dumps(content, indent=2, ensure_ascii=False) + "\n",
        "html": page(document, folder),
        "tex": as_latex(_captioned(document), f"{document[0].title} {stem}"),
    }
    for ending, text in texts.items():
        with atomic_file(folder / f"{stem}.{ending}") as file:
            file.write(text.encode())
    print(terminal(document))
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    figures = [block for section in document for block in section.blocks if isinstance(block, Figure)]
    drawn = f", figures in {(folder / figures[0].file).parent}" if figures else ""
    print(f"\nWritten: {folder}/{stem}.{{{','.join(texts)}}}{drawn}")
