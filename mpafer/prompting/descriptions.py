"""Descriptions of the classes by a language model: the paper's table, or a file of the user's."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from mpafer.common.errors import DataError, MissingFileError
from mpafer.common.texts import read_yaml
from mpafer.prompting.expressions import COMPOUND, class_key

logger = logging.getLogger(__name__)

DESCRIPTIONS = Path(__file__).with_name("descriptions.yaml")


def load_descriptions(path: str | Path | None = None, classnames: Sequence[str] | None = None) -> dict[str, str]:
    """Class name -> description, from a YAML or JSON mapping; by default Table 1 of the paper's supplement.

    A class that the file does not describe has the text of the shipped table, a compound expression those of its two
    basic ones.

    Args:
        path: the file; None or "" = the shipped table.
        classnames: the classes wanted, each of which must be described; they become the keys, in this order and
            spelling. None: everything in the file, under canonical names.

    Raises:
        MissingFileError: no such file.
        DataError: not a mapping of names to texts; a class twice; a class missing there and in the shipped table.
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
            table.setdefault(name, f"{table[first]} {table[second]}")
    missing = [name for name in classnames if class_key(name) not in table]
    if missing:
        raise DataError(f"{source} has no description of {', '.join(missing)}; it has {', '.join(table)}")
    return {name: table[class_key(name)] for name in classnames}


def read_descriptions(source: Path) -> dict[str, str]:
    """Class name, as `class_key` has it -> text, of a file."""
    if not source.is_file():
        raise MissingFileError(f"no file of descriptions at {source} (DATASET.DESCRIPTIONS)")
    content = read_yaml(source)  # JSON is YAML
    if not isinstance(content, dict):
        raise DataError(f"{source} must map class names to descriptions, but holds a {type(content).__name__}")
    table: dict[str, str] = {}
    for name, text in content.items():
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{source}: the description of {name!r} must be a text, not {text!r}")
        if class_key(str(name)) in table:
            raise DataError(f"{source} describes {class_key(str(name))!r} twice, the second time as {name!r}")
        table[class_key(str(name))] = text.strip()
    return table
