"""The one table of expression classes: order, other spellings, each data set's own ids, descriptions.

Label i means CLASSES[i] in every data set, so a head trained on one can be tested on another. RAF-DB's order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

CLASSES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral", "contempt")

# Spellings met in folder names and label files; "suprise" is a popular mirror's own.
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

# The id in a data set's own files -> class.
RAFDB_IDS = dict(enumerate(CLASSES[:7], start=1))
AFFECTNET_IDS = dict(enumerate(["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"]))
FER2013_IDS = dict(enumerate(["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]))
FERPLUS_IDS = dict(enumerate(["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"]))
CKPLUS_IDS = dict(enumerate(["neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"]))
CKEXTENDED_IDS = FER2013_IDS | {7: "contempt"}  # the CSV mirror of CK+

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
COMPOUND_IDS = dict(enumerate(COMPOUND, start=1))

DESCRIPTIONS = Path(__file__).parent / "descriptions.yaml"


def canonical(name: str) -> str:
    """The canonical spelling of a class name, whatever its case; ValueError if we know no such expression."""
    key = name.strip().lower()
    key = ALIASES.get(key, key)
    if key not in CLASSES:
        known = ", ".join(CLASSES)
        raise ValueError(f"unknown expression {name!r}; known: {known}; also understood: {', '.join(ALIASES)}")
    return key


def in_order(ids: Mapping[int, str], counts: Sequence[int], classes: Sequence[str] = CLASSES) -> tuple[int, ...]:
    """Images per class as published in the order of a data set's own `ids` -> in the order of `classes`."""
    by_name = dict(zip(ids.values(), counts, strict=True))
    return tuple(by_name[name] for name in classes)


def class_key(name: str) -> str:
    """Like `canonical`, but a class of the user's own is kept: by it names of different sources are compared."""
    try:
        return canonical(name)
    except ValueError:
        return name.strip().lower()


def load_descriptions(path: str | Path | None = None, classnames: Sequence[str] | None = None) -> dict[str, str]:
    """Class name -> description, from a YAML or JSON mapping; by default Table 1 of the paper's supplement.

    A compound expression that the file does not describe gets the descriptions of its two basic ones.

    Args:
        path: the file; None or "" = the shipped table.
        classnames: the classes wanted, each of which must be described; they are the answer's keys, in this
            order and spelling. Without them, everything in the file under canonical names.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a mapping of names to texts; a class twice; a class missing.
    """
    source = Path(path).expanduser() if path else DESCRIPTIONS
    if not source.is_file():
        raise FileNotFoundError(f"no file of descriptions at {source} (DATASET.DESCRIPTIONS)")
    try:
        content = yaml.safe_load(source.read_text("utf-8"))  # JSON is YAML
    except yaml.YAMLError as error:
        raise ValueError(f"{source} is neither YAML nor JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{source} must map class names to descriptions, but holds a {type(content).__name__}")
    table: dict[str, str] = {}
    for name, text in content.items():
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{source}: the description of {name!r} must be a text, not {text!r}")
        if class_key(str(name)) in table:
            raise ValueError(f"{source} describes {class_key(str(name))!r} twice, the second time as {name!r}")
        table[class_key(str(name))] = text.strip()
    if classnames is None:
        return table
    for name, (first, second) in COMPOUND.items():
        if name in classnames and first in table and second in table:
            table.setdefault(name, f"{table[first]} {table[second]}")
    missing = [name for name in classnames if class_key(name) not in table]
    if missing:
        raise ValueError(f"{source} has no description of {', '.join(missing)}; it has {', '.join(table)}")
    return {name: table[class_key(name)] for name in classnames}
