"""FERPlus: FER2013's images with ten people's votes each.

Barsoum et al., "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution", ICMI
2016; files and rules as in microsoft/FERPlus. Votes come from fer2013new.csv, which its readme documents, and from the
folders' label.csv only without it: the two differ for 1,602 images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mpafer.common.options import option
from mpafer.datasets.fer2013 import FOLDERS, find_pixels
from mpafer.datasets.fer_dataset import FERDataset, register_dataset
from mpafer.datasets.folders import read_splits
from mpafer.datasets.items import Item, MissingDataError, Splits, locate
from mpafer.datasets.labels import FERPLUS_IDS, in_order
from mpafer.datasets.mirrors import read_mirror
from mpafer.datasets.numbers import NumberedOptions
from mpafer.datasets.votes import (
    PUBLISHED,
    PUBLISHED_PARTS,
    RULES,
    Ballot,
    Rule,
    check_pairs,
    read_label_csv,
    read_votes,
)
from mpafer.prompting.expressions import CLASSES

NO_CLASS = {8: "unknown", 9: "no face"}  # columns of the votes
NAMELESS = "without a name in the votes"
PARTS = {"train": "FER2013Train", "val": "FER2013Valid", "test": "FER2013Test"}


@dataclass(frozen=True)
class FERPlusOptions(NumberedOptions):
    """``DATASET``."""

    label_rule: str = option("majority", choices=tuple(RULES))  # from ten votes to a label, see docs/datasets.md


@register_dataset
class FERPlus(FERDataset):
    """Eight classes."""

    Options = FERPlusOptions
    options: FERPlusOptions
    folders = ("ferplus", "FERPlus", "FERPLUS", "fer+", *FOLDERS)
    classes: tuple[str, ...] = CLASSES
    tree = """\
ferplus/ (or FERPlus/, fer2013/; or its contents right here)
  fer2013.csv and fer2013new.csv
or, as microsoft/FERPlus writes them,
  FER2013Train/fer0000000.png ... FER2013Valid/ FER2013Test/ (or in images/ or data/)
  fer2013new.csv, or a label.csv in each of the three
or, in class folders,
  train/{angry,contempt,disgust,fear,happy,neutral,sad,suprise}/*.png validation/ test/
or parquet shards (data/train-*.parquet ...)
"""
    layouts = {  # noqa: RUF012
        "pixels and votes": ("fer2013.csv", "fer2013new.csv"),
        "the folders of microsoft/FERPlus": ("FER2013Train", "FER2013Valid", "FER2013Test", "fer2013new.csv"),
        "class folders": ("train/angry", "validation/angry", "test/angry"),
    }
    access = "votes: https://github.com/microsoft/FERPlus; images: FER2013, from Kaggle"

    def read(self, folder: Path) -> Splits | None:
        name = self.options.label_rule
        source = folder / "fer2013new.csv"
        ballots = read_votes(source) if source.is_file() else []
        if ballots and (found := find_pixels(folder)):
            pixels, rows = found
            check_pairs([row.split for row in rows], pixels, ballots, source)
            self.set_published(PUBLISHED[name])
            return self.elect(ballots, [row.impath for row in rows], RULES[name])
        for place in (folder, folder / "images", folder / "data"):
            if (place / PARTS["train"]).is_dir():
                return self.read_parts(place, source, ballots, RULES[name])
        if ballots:
            raise MissingDataError(f"{source} is there, but not its images: put fer2013.csv beside it")
        if folder.name.lower().replace("-", "") == "fer2013":
            return None  # class folders there are FER2013's labels
        mirror = read_mirror(self, folder, "ferplus")
        numbers = partial(self.number_classes, default="ferplus")
        return mirror or read_splits(folder, self.classes, self.problems, numbers)

    def set_published(self, counts: Mapping[str, tuple[int, ...]]) -> None:
        self.published = {split: in_order(FERPLUS_IDS, count, self.classes) for split, count in counts.items()}

    def read_parts(self, folder: Path, source: Path, ballots: list[Ballot], rule: Rule) -> Splits:
        """The three folders of images, of which those that get a label are needed.

        Of a name that occurs twice the later row's picture is the one on disk.
        """
        if self.options.label_rule == "majority":
            self.set_published(PUBLISHED_PARTS[source.name if ballots else "label.csv"])
        splits: Splits = {}
        for split, part in PARTS.items():
            place = folder / part
            labels = source if ballots else place / "label.csv"
            if not labels.is_file():
                raise MissingDataError(f"no votes for {place}: expected {source} or {labels}")
            chosen = [ballot for ballot in ballots or read_label_csv(labels, split) if ballot.split == split]
            by_name = {ballot.name: ballot for ballot in chosen if ballot.name}
            for ballot in chosen:
                if by_name.get(ballot.name) is not ballot:
                    reason = "with a name that a later row has too" if ballot.name else NAMELESS
                    self.problems.skipped.leave_out(reason, f"{labels}, {split} {ballot.name}".rstrip())
            elected = [ballot for name, ballot in by_name.items() if self.winner(ballot, f"{place}/{name}", rule)]
            names = [ballot.name for ballot in elected]
            paths = locate(place, ["{}"], names, labels, self.problems) if names else []
            if paths is None:
                raise MissingDataError(
                    f"{labels} is there, but none of its images in {place}: make them with "
                    "generate_training_data.py of microsoft/FERPlus, or put fer2013.csv beside fer2013new.csv"
                )
            splits[split] = self.elect(elected, paths, rule)[split]
        return splits

    def elect(self, ballots: Sequence[Ballot], paths: Sequence[str], rule: Rule) -> Splits:
        """The images whose votes make a class of ours, by split."""
        splits: Splits = {split: [] for split in PARTS}
        for ballot, path in zip(ballots, paths, strict=True):
            if winner := self.winner(ballot, path, rule):
                splits[ballot.split].append(Item(path, self.classes.index(winner)))
        return splits

    def winner(self, ballot: Ballot, path: str, rule: Rule) -> str:
        """The class of ours that an image gets; "" = none, which is counted by its reason."""
        elected, skipped = rule(ballot.votes), self.problems.skipped
        name = (FERPLUS_IDS | NO_CLASS)[elected] if elected is not None else ""
        if not ballot.name:
            skipped.leave_out(NAMELESS, path)
        elif not name:
            skipped.leave_out(f"without a label by the rule {self.options.label_rule}", path)
        elif name in self.classes:
            return name
        else:
            skipped.leave_out_class(name, path)
        return ""


@register_dataset
class FERPlus7(FERPlus):
    """Seven classes; the images of contempt are left out."""

    classes = CLASSES[:7]
