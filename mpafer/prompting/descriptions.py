"""Descriptions of the classes by a language model: the paper's table, or a file of the user's.

A class has one text or several, a tuple of them; the targets that are made of several are averaged, see
`mpafer.prompting.teachers.hard_prompt_features`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from mpafer.common.errors import DataError, MissingFileError
from mpafer.common.texts import read_yaml
from mpafer.prompting.expressions import COMPOUND, class_key

logger = logging.getLogger(__name__)

Description = str | Sequence[str]  # a text, or several; from a file a single one is a text, also where it is in a list
DESCRIPTIONS = Path(__file__).with_name("descriptions.yaml")


def load_descriptions(
    path: str | Path | None = None, classnames: Sequence[str] | None = None
) -> dict[str, Description]:
    """Class name -> its text or texts, from a YAML or JSON mapping; by default Table 1 of the paper's supplement.

    A class that the file does not describe has the text of the shipped table, a compound expression those of its two
    basic ones, each of the one with each of the other.

    Args:
        path: the file; None or "" = the shipped table.
        classnames: the classes wanted, each of which must be described; they become the keys, in this order and
            spelling. None: everything in the file, under canonical names.

    Raises:
        MissingFileError: no such file.
        DataError: not a mapping of names to texts or lists of them; a class or a text twice; a class missing there and
            in the shipped table.
    """
    source = Path(path).expanduser() if path else DESCRIPTIONS
    table = read_descriptions(source)
    if classnames is None:
        return table
    if source != DESCRIPTIONS:
        shipped = read_descriptions(DESCRIPTIONS)
        lacking = [key for key in map(class_key, classnames) if key not in table]
        needed = {part for key in lacking for part in COMPOUND.get(key, (key,))}
        if borrowed := sorted(needed & shipped.keys() - table.keys()):
            logger.warning("%s does not describe %s: the shipped texts are taken", source, ", ".join(borrowed))
        table = shipped | table
    for name, (first, second) in COMPOUND.items():
        if first in table and second in table:
            basic = table[first], table[second]
            table.setdefault(name, _one_or_several([" ".join(pair) for pair in product(*map(as_texts, basic))]))
    missing = [name for name in classnames if class_key(name) not in table]
    if missing:
        raise DataError(f"{source} has no description of {', '.join(missing)}; it has {', '.join(table)}")
    return {name: table[class_key(name)] for name in classnames}


def as_texts(description: Description) -> tuple[str, ...]:
    """The texts of a class, of which it has one or several."""
    return (description,) if isinstance(description, str) else tuple(description)


def read_descriptions(source: Path) -> dict[str, Description]:
    """Class name, as `class_key` has it -> its text or texts, of a file."""
    if not source.is_file():
        raise MissingFileError(f"no file of descriptions at {source} (DATASET.DESCRIPTIONS)")
    content = read_yaml(source)  # JSON is YAML
    if not isinstance(content, dict):
        raise DataError(f"{source} must map class names to descriptions, but holds a {type(content).__name__}")
    table: dict[str, Description] = {}
    for name, value in content.items():
        if class_key(str(name)) in table:
            raise DataError(f"{source} describes {class_key(str(name))!r} twice, the second time as {name!r}")
        table[class_key(str(name))] = _one_or_several(_texts(value, f"{source}: the description of {name!r}"))
    return table


def _texts(value: Any, what: str) -> list[str]:
    entries = value if isinstance(value, list) else [value]
    if not entries or not all(isinstance(text, str) and text.strip() for text in entries):
        raise DataError(f"{what} must be a text or a list of texts, not {value!r}")
    texts = [text.strip() for text in entries]
    if twice := [text for text in texts if texts.count(text) > 1]:
        raise DataError(f"{what} has a text twice, which would count double: {twice[0]!r}")
    return texts


def _one_or_several(texts: Sequence[str]) -> Description:
    return texts[0] if len(texts) == 1 else tuple(texts)
