"""What all facial-expression data sets share; a data set's own file says where it lies and how it is read."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from yacs.config import CfgNode

from mpafer.common.errors import DataError, OptionError
from mpafer.common.extensions import enter
from mpafer.common.options import Options
from mpafer.datasets.counts import by_class, differing_counts
from mpafer.datasets.draws import choose_classes, draw_shots, stratified_cut
from mpafer.datasets.items import Item, MissingDataError, Problems, Splits, log
from mpafer.datasets.nearly import Layouts, nearest
from mpafer.datasets.numbers import Numbering, compare_orders, number_classes
from mpafer.datasets.walking import note_unlisted
from mpafer.inputs.datum import Datum
from mpafer.prompting.expressions import CLASSES

DATASETS: dict[str, type[FERDataset]] = {}
DatasetClass = TypeVar("DatasetClass", bound="FERDataset")


def register_dataset(dataset: type[DatasetClass]) -> type[DatasetClass]:
    """Class decorator: enter a data set under its class name; raises OptionError where another one has it."""
    enter(DATASETS, dataset)
    return dataset


class FERDataset:
    """Finds, checks and splits a data set that a subclass declares.

    A subclass sets the attributes below and `read`, which may set `classes` and `published` anew to fit what it
    found. Its attributes are those that Dassl's runners read: train_x, val, test, classnames and so on. ``classnames``
    is for prompts and matching, ``display_names`` beside it for people. The few-shot
    draw is CoOp's, with its result for the same seed. A validation set is cut from the training images only if a choice
    needs one: best_val or SPLIT val. Without a "train" in what was read it is a test set, and has records that cannot
    be opened where training images are asked for.

    Args:
        cfg: DATASET, SEED and TEST are read.
        problems: told of what is wrong with the files; default: it is raised.

    Raises:
        MissingDataError: nothing readable under DATASET.ROOT, or images missing.
    """

    Options: ClassVar[type[Options]] = Options  # its own keys of DATASET
    folders: tuple[str, ...]  # where it may lie under DATASET.ROOT; "" = there itself
    classes: tuple[str, ...] = CLASSES[:7]  # canonical names in label order
    # split -> images per class, or only their total
    published: dict[str, tuple[int, ...] | int] = {}  # noqa: RUF012 - a class's declaration
    tree: str  # the layout to show when nothing is found
    layouts: Layouts = {}  # noqa: RUF012 - by name, what each needs, to tell which one a copy nearly is
    access: str  # where to ask for the data
    training_elsewhere = ""  # of a test set: how to get training images after all
    splits: Splits  # all that was found, before any choice of images or classes
    dataset_dir = ""  # where it was found
    numbering: Numbering | None = None  # where labels or folders are numbers
    spellings: dict[str, str] = {}  # noqa: RUF012 - class -> how the user writes it, where that is told
    fewer_images: dict[str, int] = {}  # noqa: RUF012 - class -> its images, where shots are more
    train_u = None  # a runner on Dassl asks for unlabelled images

    def __init__(self, cfg: CfgNode, problems: Problems | None = None) -> None:
        self.problems = problems or Problems()
        self.problems.skipped.spellings = self.spellings = {}
        known = self.Options().node()
        try:
            self.options = self.Options.of({key: value for key, value in cfg.DATASET.items() if key in known})
        except OptionError as error:
            raise OptionError(f"DATASET.{error}") from None
        self.descriptions: str = cfg.DATASET.DESCRIPTIONS
        splits = self.splits = self.find(Path(cfg.DATASET.ROOT).expanduser().absolute())
        self.compare_counts(splits)
        self.check_numbers(splits)
        self.tell_skipped(splits)
        self.test_only = "train" not in splits
        if self.test_only and cfg.DATASET.NUM_SHOTS > 0:
            raise OptionError(f"{self.name} is a test set, DATASET.NUM_SHOTS has no training images to draw from: -1")
        train, val, test = splits.get("train", self.no_training_images()), splits.get("val", []), splits["test"]
        if not (val or self.test_only) and (cfg.TEST.FINAL_MODEL == "best_val" or cfg.TEST.SPLIT == "val"):
            train, val = stratified_cut(train, cfg.DATASET.VAL_FRACTION, cfg.SEED)
        whole = val
        train, val = draw_shots(train, val, cfg.DATASET.NUM_SHOTS, cfg.SEED)
        if cfg.TEST.SPLIT == "val":
            val = whole  # what is reported is measured on all of it; CoOp's draw is for choosing an epoch
        chosen = choose_classes(self.classes, cfg.DATASET.SUBSAMPLE_CLASSES)
        self.tell_fewer(train, chosen, cfg.DATASET.NUM_SHOTS)
        absent = set(chosen) - {self.classes[item.label] for item in train}
        if absent and not self.test_only:
            raise MissingDataError(
                f"{self.name}: no training image of {', '.join(self.shown(sorted(absent)))}; if that is meant, name "
                "the other classes in DATASET.SUBSAMPLE_CLASSES"
            )
        if not test:
            raise MissingDataError(f"{self.name}: no test image")
        self.train_x, self.val, self.test = (
            self.records(train, chosen), self.records(val, chosen) or None, self.records(test, chosen)
        )  # fmt: skip
        # what is declared, not what occurs: a test set may lack a class that the head knows
        self.num_classes, self.classnames, self.lab2cname = len(chosen), chosen, dict(enumerate(chosen))
        self.display_names = self.shown(chosen)
        if differing := [
            f"{self.spellings[name]} = {name}" for name in chosen if self.spellings.get(name, name) != name
        ]:
            log.info("%s: names here = those in prompts: %s", self.name, ", ".join(differing))

    @property
    def name(self) -> str:
        return type(self).__name__

    def shown(self, classes: Iterable[str]) -> list[str]:
        """Names of classes as people read them: the user's spelling, or else the name itself."""
        return [self.spellings.get(name, name) for name in classes]

    def no_training_images(self) -> list[Item]:
        """Records in a test set's place of training images, as Dassl wants some even to evaluate.

        No method may train on the test images: who opens one of these is told so.
        """
        message = f"{self.name} has no training images here, it is a test set{self.training_elsewhere}"
        return [Item(message, label) for label in range(len(self.classes))]

    def read(self, folder: Path) -> Splits | None:
        """The images under an existing folder, or None where its layout is not this data set's."""
        raise NotImplementedError

    def places(self) -> tuple[str, ...]:
        """The candidate folders under the data root."""
        return self.folders

    def find(self, root: Path) -> Splits:
        """The first of the candidate folders that can be read."""
        for folder in (root / name for name in self.places()):
            if folder.is_dir() and (splits := self.read(folder)) is not None:
                self.dataset_dir = str(folder)
                return splits
        places = ", ".join(name or "." for name in self.places())
        seen = nearest(root, self.places(), self.layouts)
        raise MissingDataError(
            f"{self.name} was not found in {root}\n(looked at {places}).\n{seen}\n"
            f"Expected there (DATASET.ROOT, --root):\n{self.tree.rstrip()}\nAccess: {self.access}"
        )

    def compare_counts(self, splits: Splits) -> None:
        """Warn where the images are not those of the published data set."""
        for split, published in self.published.items():
            if differing := differing_counts(self.classes, splits.get(split, []), published):
                log.warning("%s %s: %s", self.name, split, differing)

    def number_classes(self, present: Collection[int], default: str, **others: Any) -> Mapping[int, str]:
        """What the numbers of labels or folders mean, by DATASET.CLASS_IDS or else by `default`; it is said.

        Raises:
            DataError: there is no order: see `numbers.number_classes`.
        """
        chosen = getattr(self.options, "class_ids", "")
        try:
            before, self.numbering = self.numbering, number_classes(chosen, default, present, **others)
        except DataError as error:
            raise DataError(f"{self.name}: {error}") from None
        if self.numbering != before:
            log.info("%s: numbers are read as %s (DATASET.CLASS_IDS)", self.name, self.numbering)
        return self.numbering.ids

    def check_numbers(self, splits: Splits) -> None:
        """Point out an order of the classes that fits the published counts better.

        Raises:
            DataError: by ``problems``: they fit that order alone.
        """
        if self.numbering is None and bool(getattr(self.options, "class_ids", False)):
            log.warning("%s: DATASET.CLASS_IDS is not used: no label and no folder is a number", self.name)
        if self.numbering is None:
            return
        verdict, text = compare_orders(self.numbering, *by_class(self.classes, splits, self.published))
        if verdict == "stop":
            self.problems.report(DataError(f"{self.name}: {text}"))
        elif verdict:
            log.warning("%s: %s", self.name, text)

    @property
    def skipped(self) -> dict[str, int]:
        """Reason -> number of the files, or rows of lists, that are not used."""
        return self.problems.skipped.counts

    def tell_skipped(self, splits: Splits) -> None:
        """Say in one line what is not used; it is a warning where it may have been meant as images."""
        skipped = self.problems.skipped
        note_unlisted([item.impath for items in splits.values() for item in items], skipped)
        if skipped.paths:
            level = logging.WARNING if skipped.doubtful else logging.INFO
            log.log(level, "%s: not used: %s", self.name, skipped.in_words())

    def tell_fewer(self, train: Iterable[Item], chosen: Sequence[str], shots: int) -> None:
        """Say which classes have fewer training images than shots, if any."""
        found = Counter(self.classes[item.label] for item in train)
        few = [name for name in chosen if 0 < found[name] < shots]
        self.fewer_images = {self.spellings.get(name, name): found[name] for name in few}
        if self.fewer_images:
            which = ", ".join(f"{name} {images}" for name, images in self.fewer_images.items())
            log.warning("%s: fewer images than DATASET.NUM_SHOTS %s, all are taken: %s", self.name, shots, which)

    def records(self, items: Iterable[Item], chosen: Sequence[str]) -> list[Datum]:
        """Records of the images of the chosen classes, labelled in the order of `chosen`."""
        label = {name: i for i, name in enumerate(chosen)}
        named = ((item.impath, self.classes[item.label]) for item in items)
        return [Datum(impath=path, label=label[name], classname=name) for path, name in named if name in label]
