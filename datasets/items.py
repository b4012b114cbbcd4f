"""Finding a data set's files: one listing per folder, never a look per file (slow on a network disk)."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mpafer.common.errors import MissingFileError
from mpafer.datasets.walking import Skipped

log = logging.getLogger("mpafer.datasets")


class MissingDataError(MissingFileError):
    """The data set, or a part of it, is not on this machine."""

    paths: Sequence[str] = ()  # the files that are missing, where that is known


class Problems:
    """What is wrong with a data set's files: raised at once or, for the doctor, collected.

    Args:
        collecting: whether `report` notes errors in ``found`` instead of raising them.

    ``skipped`` is told of files that are not used, which is no error.
    """

    def __init__(self, *, collecting: bool = False) -> None:
        self.collecting = collecting
        self.found: list[Exception] = []
        self.skipped = Skipped()

    def report(self, error: Exception) -> None:
        """Raise the error; or note it, and let the caller go on without what it concerns."""
        if not self.collecting:
            raise error
        self.found.append(error)


class Item(NamedTuple):
    """One image; `label` is its index in the data set's `classes`."""

    impath: str
    label: int


Splits = dict[str, list[Item]]  # "train" and "test", and "val" where the data set has one


def locate(
    folder: Path, patterns: Sequence[str], stems: Sequence[str], source: Path, problems: Problems
) -> list[str] | None:
    """The paths that the first fitting pattern gives to all stems; None if no pattern fits any.

    Args:
        folder: what the patterns are relative to.
        patterns: such as ``"aligned/{}_aligned.jpg"``, a stem going into the braces.
        stems: non-empty.
        source: the file that names the stems, for the message.
        problems: told of missing files.

    Raises:
        MissingDataError: by ``problems``: a pattern fits some stems and not others; names their number and the first.
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
            problems.report(error)
        log.info("reading %s/%s", place, name)
        return [f"{place}/{name.format(stem)}" for stem in stems]
    return None
