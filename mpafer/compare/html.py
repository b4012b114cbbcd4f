"""One HTML file that needs nothing else: style and figures are inside."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from mpafer.compare.document import Figure, Grid, Section

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 78rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; font-weight: 600; margin: 2rem 0 .6rem; }
h3 { font-size: 1rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; white-space: nowrap; }
thead th { border-bottom: 2px solid #222; }
p { max-width: 60rem; }
figure { display: inline-block; margin: 0 1rem 1rem 0; vertical-align: top; }
figure img { max-width: 100%; width: 36rem; }
figcaption { font-size: 13px; color: #555; }
"""


def page(document: Sequence[Section], folder: Path) -> str:
    """The document as HTML; its figures are read from ``folder``."""
    body = []
    for section in document:
        body.append(f"<h{section.level}>{escape(section.title)}</h{section.level}>")
        body += [_block(block, folder) for block in section.blocks]
    title = escape(document[0].title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def _block(block: str | Grid | Figure, folder: Path) -> str:
    if isinstance(block, Grid):
        return f'<div class="table">{block.text("html")}</div>'
    if isinstance(block, Figure):
        image = base64.b64encode((folder / block.file).read_bytes()).decode()
        caption = escape(block.caption)
        return (
            f'<figure><img alt="{caption}" src="data:image/png;base64,{image}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    return f"<p>{escape(block)}</p>"
