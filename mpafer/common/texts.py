"""Text and YAML files of the user's: what is wrong with one is said in one line, with its name and the cure."""

from __future__ import annotations

import csv
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from mpafer.common.errors import DataError


@contextmanager
def readable(source: Path) -> Iterator[None]:
    """Around reading a text or a table.

    Raises:
        DataError: it is no text in UTF-8, or no table; the file is named.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(f"{source} is no text in UTF-8, save it as such: {error}") from None
    except csv.Error as error:
        raise DataError(f"{source} cannot be read as a table: {error}") from None


def read_text(source: Path) -> str:
    """A text in UTF-8, with or without a mark at its start.

    Raises:
        DataError: it is none, or has NUL bytes in it.
    """
    with readable(source):
        text = source.read_text("utf-8-sig")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"{source} is no text: it has NUL bytes in it (line {line}); save it as UTF-8, or get it anew")
    return text


def read_yaml(source: Path) -> Any:
    """What a YAML or JSON file holds.

    Raises:
        DataError: no text, no YAML, a key twice, or a key that YAML takes for yes or no.
    """
    text = read_text(source)
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        what = ", " if isinstance(error, _KeyError) else " is not YAML: "
        raise DataError(f"{source}{what}{where}{' '.join(str(error.problem or error).split())}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # a date that there is not, a sign that is none
        raise DataError(f"{source} is not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise DataError(f"{source} is not YAML: it is nested too deep") from None


class _Loader(yaml.SafeLoader):
    """Takes no key twice, and none of those that YAML reads as yes or no."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, bool):
                written = key_node.value
                raise _fault(key_node, f"YAML reads the key {written} as {key}; put it in quotes: '{written}'")
            if isinstance(key, Hashable):
                if key in seen:
                    raise _fault(key_node, f"the key {key!r} stands there a second time")
                seen.add(key)
        return super().construct_mapping(node, deep=deep)


class _KeyError(yaml.constructor.ConstructorError):
    """A key that may be YAML, but cannot be meant."""


def _fault(node: yaml.Node, problem: str) -> _KeyError:
    return _KeyError(None, None, problem, node.start_mark)
