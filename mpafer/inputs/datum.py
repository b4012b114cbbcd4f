"""One image of a data set, as Dassl's data sets and ours list them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Datum:
    """An image's path, label (0..C-1), domain (which a runner on Dassl asks for) and class name."""

    impath: str = ""
    label: int = 0
    domain: int = 0
    classname: str = ""
