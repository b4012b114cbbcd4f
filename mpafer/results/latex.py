"""Tables for a paper: LaTeX with booktabs, the best value bold, the second underlined, differences marked."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from mpafer.results.table import SIGNIFICANT, Table

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "_": r"\_", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': "''", "±": r"$\pm$", "−": "$-$", "–": "--", "—": "---", "…": r"\ldots{}", "·": r"$\cdot$",
    "×": r"$\times$", "≥": r"$\geq$", "≤": r"$\leq$", "→": r"$\to$", "“": "``", "”": "''", "‘": "`", "’": "'",
    "\N{NO-BREAK SPACE}": "~",
}  # fmt: skip
HEAD = r"""% Made by mpafer: \input it into a document that loads \usepackage{booktabs}.
% Bold: best of the column; underlined: second; * differs from the reference (paired bootstrap over the test images,
% p < SIGNIFICANT after Holm's correction).
"""


def as_latex(tables: Sequence[tuple[str, Table]], label: str) -> str:
    """Tables with their titles as one file to be ``\\input``; their labels are tab:LABEL-1, tab:LABEL-2, ..."""
    parts = [HEAD.replace("SIGNIFICANT", str(SIGNIFICANT))]
    for number, (title, table) in enumerate(tables, start=1):
        parts.append(_float(title, table, f"{_plain(label)}-{number}"))
    return "\n".join(parts)


def _float(title: str, table: Table, label: str) -> str:
    ranks = [column.ranks(table.rows) for column in table.columns]
    lines = [" & ".join(map(escape, table.headers)) + r" \\"]
    for number, (row, cells) in enumerate(zip(table.rows, table.body, strict=True)):
        shown = [_cell(cell, ranks[place].get(number)) for place, cell in enumerate(cells)]
        shown[0] += "$^{*}$" if table.mark(row) else ""
        lines.append(" & ".join(shown) + r" \\")
    head, *body = lines
    return "\n".join(
        [
            r"\begin{table}[tb]",
            r"\centering",
            r"\small",
            rf"\caption{{{escape(title)}.}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
            r"\toprule",
            head,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _cell(text: str, rank: int | None) -> str:
    """``67.29 ± 0.50``: a value's rank is shown on the value alone."""
    value, sign, deviation = text.partition(" ± ")
    value = re.sub(r"(?<![\w.])-(?=\d)", r"$-$", escape(value))
    value = {1: rf"\textbf{{{value}}}", 2: rf"\underline{{{value}}}"}.get(rank or 0, value)
    return f"{value} $\\pm$ {escape(deviation)}" if sign else value


def escape(text: str) -> str:
    """Any text as pdflatex prints it: what it has no letter for is given by its code point."""
    return "".join(map(_letter, " ".join(text.split())))


def _letter(letter: str) -> str:
    if letter in SPECIAL:
        return SPECIAL[letter]
    if letter.isascii():
        return letter if letter.isprintable() else " "
    name = unicodedata.name(letter, "")
    if greek := re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (\w+)", name):
        return _greek(*greek.groups())
    decomposed = unicodedata.normalize("NFD", letter)
    if name.startswith("LATIN") and ord(letter) < 0x180 and decomposed[0].isascii():
        return letter  # in LaTeX's own encoding
    return f"U+{ord(letter):04X}"


def _greek(case: str, name: str) -> str:
    same = {"ALPHA": "A", "BETA": "B", "EPSILON": "E", "ZETA": "Z", "ETA": "H", "IOTA": "I", "KAPPA": "K", "MU": "M",
            "NU": "N", "OMICRON": "O", "RHO": "P", "TAU": "T", "CHI": "X", "UPSILON": "Y"}  # fmt: skip
    name = {"LAMDA": "LAMBDA", "FINAL": "VARSIGMA"}.get(name, name)
    if case == "CAPITAL":
        return same.get(name, rf"$\{name.capitalize()}$")
    return "o" if name == "OMICRON" else rf"$\{name.lower()}$"


def _plain(label: str) -> str:
    """What may stand in a label."""
    return re.sub(r"[^A-Za-z0-9.:-]+", "-", label).strip("-")
