"""Tables for a paper: booktabs, the best value bold, the second underlined, significant differences marked."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from mpafer.results.table import SIGNIFICANT, Column, Row, Table

_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma",
    "ς": "varsigma", "τ": "tau", "υ": "upsilon", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega",
}  # fmt: skip
_CAPITALS = {letter.upper(): _GREEK[letter].capitalize() for letter in "γδθλξπσυφψω"}
_LATIN = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧο", "ABEZHIKMNOPTXo", strict=True))  # Greek letters that look so
_SIGNS = {"±": "pm", "·": "cdot", "×": "times", "≥": "geq", "≤": "leq", "→": "to", "↓": "downarrow", "µ": "mu"}
_LETTERS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "_": r"\_", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "[": "{[}", "]": "{]}", '"': "''", "“": "``", "”": "''", "‘": "`", "’": "'", "–": "--",
    "—": "---", "…": r"\ldots{}", "−": "$-$", "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "ø": r"\o{}",
    "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}", "œ": r"\oe{}", "Œ": r"\OE{}", "ı": r"\i{}",
} | _LATIN | {letter: rf"$\{name}$" for letter, name in (_GREEK | _CAPITALS | _SIGNS).items()}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c",
}  # fmt: skip
_MARK = "$^{*}$"
_HEAD = r"% Made by mpafer: \input it into a document that loads \usepackage{booktabs,graphicx}."
_FLOAT = r"""
\begin{table}[tb]
\centering
\small
\caption{CAPTION}
\label{tab:LABEL}
\par\smallskip
\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%
\begin{tabular}{COLUMNS}
\toprule
HEADERS \\
\midrule
ROWS
\bottomrule
\end{tabular}}
\end{table}
"""


def as_latex(tables: Sequence[tuple[str, Table]], label: str) -> str:
    """Tables and their titles as one ASCII file to be ``\\input``.

    Columns that stand aside are left out; what is too wide for the text is made smaller.

    Args:
        tables: title and table.
        label: the labels are tab:LABEL-1, tab:LABEL-2, ...
    """
    label = re.sub(r"[^A-Za-z0-9.]+", "-", label).strip("-").lower()
    floats = (_float(title, table, f"{label}-{number}") for number, (title, table) in enumerate(tables, start=1))
    return "\n".join([_HEAD, *floats])


def _float(title: str, table: Table, label: str) -> str:
    columns = [column for column in table.columns if not column.aside]
    ranks = [column.ranks(table.rows) for column in columns]
    rows = [
        " & ".join(_cell(column, row, rank.get(number)) for column, rank in zip(columns, ranks, strict=True)) + r" \\"
        for number, row in enumerate(table.rows)
    ]
    values = {
        "CAPTION": _caption(f"{title}. {table.note}", "\n".join(rows)),
        "LABEL": label,
        "COLUMNS": "l" + "r" * (len(columns) - 1),
        "HEADERS": " & ".join(escape(column.title + " ↓" * column.lower_is_better) for column in columns),
        "ROWS": "\n".join(rows),
    }
    return re.sub("|".join(values), lambda found: values[found[0]], _FLOAT)


def _caption(title: str, rows: str) -> str:
    """The title, and what the signs in the rows mean."""
    notes = {
        r"$\pm$": "Mean ± sample standard deviation over n seeds.",
        r"\textbf": "Best value bold, second underlined.",
        _MARK: f": differs from the reference, p < {SIGNIFICANT} after Holm's correction.",
    }
    told = [(sign if sign == _MARK else "") + escape(note) for sign, note in notes.items() if sign in rows]
    return " ".join([escape(title), *told])


def _cell(column: Column, row: Row, rank: int | None) -> str:
    """``67.29 ± 0.50``: a value's rank is shown on the value alone."""
    value, sign, deviation = column.show(row).partition(" ± ")
    value = "--" if value == "-" else re.sub(r"(?<![\w.])-(?=\d)", r"$-$", escape(value))
    value = {1: rf"\textbf{{{value}}}", 2: rf"\underline{{{value}}}"}.get(rank or 0, value)
    value += _MARK if column.mark and column.mark(row) else ""
    return f"{value} $\\pm$ {escape(deviation)}" if sign else value


def escape(text: str) -> str:
    """Any text in ASCII, as pdflatex prints it; a letter it does not have is given by its code point."""
    return "".join(map(_letter, unicodedata.normalize("NFC", " ".join(text.split()))))


def _letter(letter: str) -> str:
    if letter in _LETTERS:
        return _LETTERS[letter]
    if letter.isascii():
        return letter if letter.isprintable() else ""
    parts = unicodedata.normalize("NFD", letter)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS:
        return rf"\{_ACCENTS[parts[1]]}{{{parts[0]}}}"
    return f"U+{ord(letter):04X}"
