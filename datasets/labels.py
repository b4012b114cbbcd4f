"""The one table of expression classes: order, other spellings, each data set's own ids, descriptions.

Label i means CLASSES[i] in every data set, so a head trained on one can be tested on another. RAF-DB's order.
"""

from __future__ import annotations

from collections.abc import Sequence
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

DESCRIPTIONS = Path(__file__).parent / "descriptions.yaml"


def canonical(name: str) -> str:
    """The canonical spelling of a class name, whatever its case; ValueError if we know no such expression."""
    key = name.strip().lower()
    key = ALIASES.get(key, key)
    if key not in CLASSES:
        known = ", ".join(CLASSES)
        raise ValueError(f"unknown expression {name!r}; known: {known}; also understood: {', '.join(ALIASES)}")
    return key


def class_key(name: str) -> str:
    """Like `canonical`, but a class of the user's own is kept: by it names of different sources are compared."""
    try:
        return canonical(name)
    except ValueError:
        return name.strip().lower()


def load_descriptions(path: str | Path | None = None, classnames: Sequence[str] | None = None) -> dict[str, str]:
    """Class name -> description, from a YAML or JSON mapping; by default Table 1 of the paper's supplement.

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
    missing = [name for name in classnames if class_key(name) not in table]
    if missing:
        raise ValueError(f"{source} has no description of {', '.join(missing)}; it has {', '.join(table)}")
    return {name: table[class_key(name)] for name in classnames}
