"""FERPlus's votes: reading them, and the rules by which ten people's votes become one label, or none.

Votes stand in the order of FERPLUS_IDS, then "unknown" (8) and "no face" (9). The sizes that each rule gives were
counted from microsoft/FERPlus's fer2013new.csv with these functions.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from mpafer.common.errors import DataError
from mpafer.common.texts import readable
from mpafer.datasets.pixels import USAGES

VOTED = 10  # columns of votes: eight classes, unknown, no face
Rule = Callable[[Sequence[int]], int | None]  # votes -> winning column, None = the image is dropped


class Ballot(NamedTuple):
    """One image's votes: train, val or test, and the image's name ("" = it has none)."""

    split: str
    name: str
    votes: list[int]


def without_outliers(votes: Sequence[int]) -> list[int]:
    """The official first step: what a single person saw does not count."""
    return [0 if count == 1 else count for count in votes]


def majority(votes: Sequence[int]) -> int | None:
    """The official rule for labels: more than half of what is left without outliers."""
    votes = without_outliers(votes)
    return votes.index(max(votes)) if max(votes) > 0.5 * sum(votes) else None


def first(votes: Sequence[int]) -> int | None:
    """Most votes, of several the first."""
    return list(votes).index(max(votes))


def untied(votes: Sequence[int]) -> int | None:
    """Most votes, none where several have them."""
    return first(votes) if list(votes).count(max(votes)) == 1 else None


def first_of_eight(votes: Sequence[int]) -> int | None:
    """Most votes among the eight classes, whatever was voted beside them."""
    return first(votes[:8])


def cntk(votes: Sequence[int]) -> int | None:
    """Albanie's rule "CNTK": the first of at most two tops, all classes, with over half of what outliers leave."""
    votes = without_outliers(votes)
    tops = [i for i, count in enumerate(votes) if count == max(votes)]
    accepted = len(tops) < 3 and max(tops) < 8 and len(tops) * max(votes) > 0.5 * sum(votes)
    return tops[0] if accepted else None


def five(votes: Sequence[int]) -> int | None:
    """At least five votes, of two classes with five the first; outliers count."""
    return first(votes) if max(votes) >= 5 else None


def six(votes: Sequence[int]) -> int | None:
    """More than five votes."""
    return first(votes) if max(votes) > 5 else None


RULES: dict[str, Rule] = {
    "majority": majority, "first": first, "untied": untied, "first_of_eight": first_of_eight, "cntk": cntk,
    "five": five, "six": six,
}  # fmt: skip

# rule -> split -> images per class in the order of FERPLUS_IDS, the two CSV files being joined row by row
PUBLISHED = {
    "majority": {
        "train": (8740, 7287, 3149, 3014, 2100, 119, 532, 119),
        "val": (1182, 865, 415, 351, 287, 24, 62, 13),
        "test": (1090, 893, 396, 384, 273, 18, 83, 16),
    },
    "first": {
        "train": (10309, 7528, 3562, 3515, 2467, 191, 652, 165),
        "val": (1335, 899, 456, 412, 319, 34, 74, 24),
        "test": (1262, 928, 444, 444, 325, 23, 93, 27),
    },
    "untied": {
        "train": (9365, 7410, 3378, 3403, 2399, 175, 648, 162),
        "val": (1242, 880, 441, 395, 310, 31, 73, 24),
        "test": (1166, 909, 421, 424, 316, 22, 92, 26),
    },
    "first_of_eight": {
        "train": (10390, 7539, 3588, 3549, 2478, 194, 656, 167),
        "val": (1347, 899, 459, 418, 320, 36, 75, 25),
        "test": (1279, 929, 446, 448, 326, 23, 94, 29),
    },
    "cntk": {
        "train": (9500, 7378, 3303, 3095, 2146, 123, 532, 119),
        "val": (1256, 880, 427, 360, 293, 27, 62, 13),
        "test": (1175, 908, 413, 399, 282, 18, 83, 16),
    },
    "five": {
        "train": (9031, 7335, 3173, 3048, 2054, 107, 510, 115),
        "val": (1207, 872, 417, 348, 284, 23, 60, 14),
        "test": (1102, 895, 402, 384, 271, 15, 78, 13),
    },
    "six": {
        "train": (7495, 7083, 2742, 2384, 1643, 46, 340, 78),
        "val": (1063, 847, 378, 279, 234, 13, 40, 8),
        "test": (936, 872, 341, 295, 219, 7, 50, 9),
    },
}

# The same for the folders of images, whose names occur once, by the rule "majority": by source of the votes.
PUBLISHED_PARTS = {
    "fer2013new.csv": {
        "train": (8739, 7287, 3149, 3013, 2099, 119, 532, 119),
        "val": (1182, 865, 415, 351, 287, 24, 62, 13),
        "test": (1089, 893, 396, 384, 273, 18, 83, 16),
    },
    "label.csv": {
        "train": (8733, 7284, 3136, 3022, 2098, 116, 536, 120),
        "val": (1180, 862, 411, 348, 289, 25, 60, 16),
        "test": (1083, 892, 394, 382, 269, 16, 86, 15),
    },
}


def read_votes(source: Path) -> list[Ballot]:
    """fer2013new.csv: `Usage,Image name,` and ten votes."""
    return _read(source, lambda row: (USAGES[row[0].strip()], row[1], row[2:]))


def read_label_csv(source: Path, split: str) -> list[Ballot]:
    """A folder's label.csv, without a header: name, `"(0, 0, 48, 48)"`, ten votes."""
    return _read(source, lambda row: (split, row[0], row[2:]))


def _read(source: Path, parts: Callable[[list[str]], tuple[str, str, list[str]]]) -> list[Ballot]:
    ballots = []
    with readable(source), open(source, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, skipinitialspace=True)
        for row in reader:
            if not row or (reader.line_num == 1 and "neutral" in [name.strip().lower() for name in row]):
                continue  # a header
            try:
                split, name, counts = parts(row)
                votes = [int(count) for count in counts]
            except (KeyError, IndexError, ValueError):
                votes = []
            if len(votes) != VOTED or min(votes) < 0:
                raise DataError(
                    f"{source}, line {reader.line_num}: expected {VOTED} votes after the first two columns, read {row}"
                )
            ballots.append(Ballot(split, name.strip(), votes))
    return ballots


def check_pairs(splits: Sequence[str], pixels: Path, ballots: Sequence[Ballot], source: Path) -> None:
    """FER2013's rows of pixels and the votes belong together row by row: names skip numbers, repeat and are missing.

    Raises:
        DataError: another number of rows, or a row in another split.
    """
    if len(splits) != len(ballots):
        raise DataError(
            f"{pixels} has {len(splits)} rows, {source} has {len(ballots)}: rows belong together, get both whole"
        )
    for number, (split, ballot) in enumerate(zip(splits, ballots, strict=True), start=1):
        if split != ballot.split:
            raise DataError(
                f"row {number} is of {split} in {pixels} and of {ballot.split} in {source}: they belong together row "
                "by row, and one of them was sorted anew"
            )
