"""The words of a tiny CLIP's captions: the only ones it knows."""

from __future__ import annotations

import difflib
import re
from importlib import resources

from torch import Tensor

from mpafer.clip.tokens import eot_positions, tokenize

WORDS = resources.files("mpafer.clip") / "assets" / "tiny_words.txt"
PUNCTUATION = "! & ' ( ) , - . / : ; ?"


def known_words() -> list[str]:
    """Those of the shipped tiny CLIP, in alphabetical order; it knows PUNCTUATION too."""
    return WORDS.read_text("utf-8").split()


def are_known(text: str, known_tokens: Tensor) -> bool:
    """Whether all tokens of a text are among those known, bool [vocabulary]."""
    tokens = tokenize([text])
    return bool(known_tokens.cpu()[tokens[0, 1 : int(eot_positions(tokens))]].all())


def unknown_in(text: str, known_tokens: Tensor) -> str:
    """The words of a text that are not known, each with the known ones that are spelled most like it."""
    words = [word for word in known_words() if are_known(word, known_tokens)]
    found = []
    for word in dict.fromkeys(re.findall(r"[^\W\d_]+|\d|[^\w\s]+|_", text.lower())):
        if not are_known(word, known_tokens):
            near = difflib.get_close_matches(word, words, n=3)
            found.append(f"{word!r} (it knows {', '.join(near)})" if near else repr(word))
    return ", ".join(found)
