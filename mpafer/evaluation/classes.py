"""Which of a data set's images and which of a run's classes take part, where the two know different classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mpafer.common.errors import DataError
from mpafer.common.options import check_choice
from mpafer.inputs.datum import Datum
from mpafer.prompting.expressions import class_key

CROSS_CLASSES = {  # TEST.CROSS_CLASSES, for the classes that only the run knows
    "keep": "they stay possible answers, wrong ones",
    "mask": "they are no possible answers",
}
RENAMED = "renamed"  # noted in their place by an evaluation that gives a run's prompts the data set's class names


@dataclass(frozen=True)
class Matched:
    """Images and classes that a run and a data set have in common, matched by name."""

    items: list[Datum]  # labels count the places of ``classnames``
    classnames: list[str]  # what may be answered, as the run's prompts spell and order it
    columns: list[int]  # their places among the run's classes
    dropped: dict[str, int]  # class that the run does not know -> its images, which are left out
    absent: list[str]  # classes of the run that the data set lacks
    display_names: list[str]  # of ``classnames``, for people

    def shown_as(self, ours: Mapping[str, str], theirs: Mapping[str, str]) -> Matched:
        """The same as people read it: what may be answered, is absent, and was dropped.

        Args:
            ours: class of the run -> its display name; those that it lacks have their own.
            theirs: the same of the data set.
        """
        return replace(
            self,
            dropped={theirs.get(name, name): images for name, images in self.dropped.items()},
            absent=[ours.get(name, name) for name in self.absent],
            display_names=[ours.get(name, name) for name in self.classnames],
        )


def of_other_names(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """Those of ``names`` that are no class of the ``others``, in any spelling we know."""
    keys = set(map(class_key, others))
    return [name for name in names if class_key(name) not in keys]


def match_classes(test: Iterable[Datum], theirs: Sequence[str], ours: Sequence[str], rule: str) -> Matched:
    """Images of classes the run does not know are dropped; of the classes only the run knows ``rule`` decides.

    Args:
        test: records with impath, domain, classname.
        theirs: the data set's classes.
        ours: the run's classes, in the order of its logits.
        rule: ``keep`` or ``mask``.

    Raises:
        OptionError: another rule.
        DataError: a class twice; no image of a class that both know.
    """
    check_choice("TEST.CROSS_CLASSES", rule, CROSS_CLASSES)
    known = {class_key(name): place for place, name in enumerate(ours)}
    if len(known) < len(ours):
        raise DataError(f"two of the run's classes are one expression: {', '.join(ours)}")
    shared = {class_key(name) for name in theirs}
    columns = [place for key, place in known.items() if rule == "keep" or key in shared]
    label = {place: number for number, place in enumerate(columns)}
    items, dropped = [], Counter[str]()
    for item in test:
        place = known.get(class_key(item.classname))
        if place is None:
            dropped[item.classname] += 1
        else:
            items.append(Datum(item.impath, label[place], item.domain, ours[place]))
    if not items:
        raise DataError(f"no test image is of a class that the run knows: {', '.join(theirs)}; {', '.join(ours)}")
    absent = [ours[place] for key, place in known.items() if key not in shared]
    names = [ours[place] for place in columns]
    return Matched(items, names, columns, dict(dropped), absent, names)
