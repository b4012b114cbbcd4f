"""One image of a data set, and a data set's splits, as Dassl's data sets and ours have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Datum:
    """An image's path, label (0..C-1), domain (which a runner on Dassl asks for) and class name."""

    impath: str = ""
    label: int = 0
    domain: int = 0
    classname: str = ""


class SplitDataset(Protocol):
    """Images of a data set, and its classes in label order."""

    train_x: list[Datum]
    val: list[Datum] | None
    test: list[Datum]
    num_classes: int
    lab2cname: dict[int, str]
