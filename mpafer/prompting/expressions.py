"""The one table of expressions: their order, other spellings, and the compound ones.

Label i means CLASSES[i] in every data set, so a head trained on one can be tested on another. RAF-DB's order.
"""

from __future__ import annotations

import difflib
import re

from mpafer.common.errors import DataError

CLASSES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral", "contempt")

# Spellings in folder names and label files; "suprise" is that of a popular mirror.
ALIASES = {
    "surprised": "surprise",
    "suprise": "surprise",
    "fearful": "fear",
    "afraid": "fear",
    "disgusted": "disgust",
    "happy": "happiness",
    "sad": "sadness",
    "angry": "anger",
    "normal": "neutral",
    "contemptuous": "contempt",
}

# RAF-DB's compound expressions, in the order of its ids 1 to 11: name -> the two basic ones.
COMPOUND = {
    "happily surprised": ("happiness", "surprise"),
    "happily disgusted": ("happiness", "disgust"),
    "sadly fearful": ("sadness", "fear"),
    "sadly angry": ("sadness", "anger"),
    "sadly surprised": ("sadness", "surprise"),
    "sadly disgusted": ("sadness", "disgust"),
    "fearfully angry": ("fear", "anger"),
    "fearfully surprised": ("fear", "surprise"),
    "angrily surprised": ("anger", "surprise"),
    "angrily disgusted": ("anger", "disgust"),
    "disgustedly surprised": ("disgust", "surprise"),
}


def plain_name(name: str) -> str:
    """A class's name in lower case, with single blanks for what separates its words: blanks, "_" and "-"."""
    return " ".join(re.split(r"[\s_-]+", name.strip().lower())).strip()


def canonical(name: str) -> str:
    """The canonical spelling of a class name, in any case of letters.

    Raises:
        DataError: we know no such expression.
    """
    key = plain_name(name)
    key = ALIASES.get(key, key)
    if key not in CLASSES:
        known = ", ".join(CLASSES)
        raise DataError(f"unknown expression {name!r}; known: {known}; also understood: {', '.join(ALIASES)}")
    return key


def class_key(name: str) -> str:
    """Like `canonical`, but an unknown class keeps its name; names from different sources are compared by it."""
    try:
        return canonical(name)
    except DataError:
        return plain_name(name)


def own_class(name: str) -> str:
    """Like `class_key`, but a name that is nearly a known one is taken for a slip of the pen.

    Raises:
        DataError: so near is it, or it is empty or a number.
    """
    key = class_key(name)
    near = difflib.get_close_matches(key, [*CLASSES, *ALIASES], n=1, cutoff=0.85)
    if key not in CLASSES and (near or not key or key.isdecimal()):
        raise DataError(f"unknown expression {name!r}{f': did you mean {near[0]}?' if near else ''}")
    return key


def is_expression(name: str) -> bool:
    """Whether a name, in any spelling we know, is one of CLASSES."""
    return class_key(name) in CLASSES
