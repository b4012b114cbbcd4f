"""Output on terminals and into files that cannot show every letter."""

from __future__ import annotations

import codecs
import io
import re
import sys
import unicodedata

_SIGNS = {"±": "+-", "Δ": "d", "–": "-", "—": "-", "−": "-", "×": "x", "→": "->", "↓": "v", "≥": ">=", "≤": "<="}
_PLAINLY = "mpafer.plainly"


def speak_plainly() -> None:
    """From now on a letter that standard output's encoding lacks is shown by what it has, ``±`` as ``+-``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_PLAINLY)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """Signs like those that cannot be encoded, letters without their accents, or "?"."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    plain = "".join(_SIGNS.get(letter) or unicodedata.normalize("NFKD", letter) for letter in lacking)
    return re.sub(r"[^\x00-\x7f]", "?", re.sub(r"[\u0300-\u036f]", "", plain)), error.end


codecs.register_error(_PLAINLY, _plainly)
