"""The progress bar."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(batches: Iterable[T], description: str = "", *, total: int | None = None, unit: str = "it") -> tqdm[T]:
    """A progress bar on the terminal; nothing where stderr is a file, in the log, or on other ranks.

    Args:
        batches: what is gone through.
        description: what is done.
        total: how many there are, where ``batches`` does not tell.
        unit: what one of them is called.
    """
    from mpafer.common import distributed  # with torch, which is slow to import

    disable = None if distributed.is_main() else True
    return tqdm(
        batches, desc=description, total=total, unit=unit, file=sys.__stderr__, leave=False, dynamic_ncols=True,
        disable=disable,
    )  # fmt: skip
