"""The progress bar."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(batches: Iterable[T], description: str = "") -> tqdm[T]:
    """A progress bar on the terminal; nothing where stderr is a file, in the log, or on other ranks."""
    from mpafer.common import distributed  # with torch, which is slow to import

    disable = None if distributed.is_main() else True
    return tqdm(batches, desc=description, file=sys.__stderr__, leave=False, dynamic_ncols=True, disable=disable)
