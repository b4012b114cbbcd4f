"""What can be found, how grave it is, and what cures it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

SMALLEST = 32  # pixels of the shorter side below which an expression is hardly visible
ASPECT = 2.5  # longer side / shorter side above which it is no face crop


class Kind(NamedTuple):
    """A sort of finding. Errors make training or its evaluation wrong; notes ask for nothing."""

    severity: str
    title: str
    cure: str


KINDS = {
    "loader": Kind("error", "the loader stops", "do as its message says"),
    "layout": Kind("error", "missing parts of the layout", "unpack the archive again, into this place"),
    "lists": Kind("error", "unusable entries of lists or annotations", "correct them, or fetch these files again"),
    "missing": Kind("error", "missing files", "unpack the archive again, or copy these files"),
    "unreadable": Kind("error", "unreadable images", "copy these files again from the archive"),
    "labels": Kind("error", "images with a label that no class has", "correct the labels in the data set's lists"),
    "empty": Kind("error", "classes without a training image", "add images, or choose DATASET.SUBSAMPLE_CLASSES"),
    "leak": Kind("error", "pictures in more than one split", "keep each in one split, a test image in the test split"),
    "conflict": Kind("error", "equal pictures with different labels", "correct the label, or remove the copies"),
    "counts": Kind("warning", "counts other than published", "look for what is missing, or report these counts"),
    "untested": Kind("warning", "classes missing from a split", "averages over the classes leave them out there"),
    "repeated": Kind("warning", "equal pictures with one label", "remove the copies, which weigh their picture double"),
    "similar": Kind("warning", "pairs that look alike", "look at them, and keep one of two copies"),
    "sizes": Kind("warning", "images of another size than the rest", "see whether they were cropped like the rest"),
    "small": Kind("warning", f"images under {SMALLEST} pixels", "take larger ones, or remove them"),
    "aspect": Kind("warning", f"images with sides beyond {ASPECT} : 1", "crop the faces, or remove them"),
    "flat": Kind("warning", "images of a single colour", "copy them again, or remove them"),
    "warnings": Kind("warning", "warnings of the loader", "do as they say"),
    "unused": Kind(
        "warning",
        "files and rows that are not used",
        "give what is an image an ending that is read, and its place; fetch what is missing; move the rest away",
    ),
    "left": Kind("note", "files that a system left among the images", "nothing"),
    "left_out": Kind("note", "left out by the data set's own rules", "nothing"),
    "unlisted": Kind("note", "images that lie beside those in use and are not used", "nothing, if that is meant"),
}


class Case(NamedTuple):
    """One instance: the files concerned, all of them, and what there is to say."""

    files: Sequence[str] = ()
    detail: str = ""


@dataclass(frozen=True)
class Finding:
    """All cases of one kind; `severity` is the kind's, or lower where the user accepts it."""

    kind: str
    severity: str
    cases: Sequence[Case]
