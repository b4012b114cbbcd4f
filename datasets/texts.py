"""Text files of a data set: what is wrong with one is said with its name."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
        raise DataError(f"{source} is no text in UTF-8: {error}") from None
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
        raise DataError(f"{source} is no text: it has NUL bytes in it")
    return text
