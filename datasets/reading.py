"""Finding a data set's files: one listing per folder, never a look per file (slow on a network disk)."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from mpafer.common.errors import MissingFileError

log = logging.getLogger("mpafer.datasets")

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")


class MissingDataError(MissingFileError):
    """The data set, or a part of it, is not on this machine."""

    paths: Sequence[str] = ()  # the files that are missing, where that is known


_noted: ContextVar[list[Exception] | None] = ContextVar("noted", default=None)


@contextmanager
def collect_problems() -> Iterator[list[Exception]]:
    """Within it, `problem` notes errors in this list instead of raising them: the doctor wants all of them."""
    found: list[Exception] = []
    token = _noted.set(found)
    try:
        yield found
    finally:
        _noted.reset(token)


def problem(error: Exception) -> None:
    """Raise it; or, under `collect_problems`, note it and let the caller go on without what it concerns."""
    noted = _noted.get()
    if noted is None:
        raise error
    noted.append(error)


class Item(NamedTuple):
    """One image; `label` is its index in the data set's `classes`."""

    impath: str
    label: int


Splits = dict[str, list[Item]]  # "train" and "test", and "val" where the data set has one


def locate(folder: Path, patterns: Sequence[str], stems: Sequence[str], source: Path) -> list[str] | None:
    """The paths that the first fitting pattern gives to all stems; None if no pattern fits any.

    Args:
        folder: what the patterns are relative to.
        patterns: such as ``"aligned/{}_aligned.jpg"``, a stem going into the braces.
        stems: non-empty.
        source: the file that names the stems, for the message.

    Raises:
        MissingDataError: a pattern fits some stems and not others; their number and the first are named.
    """
    for pattern in patterns:
        place, name = os.path.split(f"{folder}/{pattern}")
        there = set(os.listdir(place)) if os.path.isdir(place) else set()
        missing = [stem for stem in stems if name.format(stem) not in there]
        if len(missing) == len(stems):
            continue
        if missing:
            paths = [f"{place}/{name.format(stem)}" for stem in missing]
            first = "\n".join(f"  {path}" for path in paths[:5])
            error = MissingDataError(
                f"{len(missing)} of the {len(stems)} files for {source} are missing, the first:\n{first}"
            )
            error.paths = paths
            problem(error)
        log.info("reading %s/%s", place, name)
        return [f"{place}/{name.format(stem)}" for stem in stems]
    return None
