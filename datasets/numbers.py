"""Which number means which class: every data set counts its expressions in another order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from mpafer.common.errors import DataError, OptionError
from mpafer.common.options import Options, closest
from mpafer.datasets.labels import (
    AFFECTNET_IDS,
    CKEXTENDED_IDS,
    CKPLUS_IDS,
    COMPOUND_IDS,
    FER2013_IDS,
    FERPLUS_IDS,
    RAFDB_IDS,
)
from mpafer.prompting.expressions import CLASSES, canonical

ORDERS = {"rafdb": RAFDB_IDS, "affectnet": AFFECTNET_IDS, "fer2013": FER2013_IDS, "ferplus": FERPLUS_IDS}
# Orders that no copy of another set comes in, so that counts are not compared with them.
OWN_ORDERS = {"ckplus": CKPLUS_IDS, "ckextended": CKEXTENDED_IDS, "rafdb_compound": COMPOUND_IDS}
NAMED = ORDERS | OWN_ORDERS
ALPHABETICAL = "alphabetical"  # as a plain ImageFolder numbers them, of seven classes or of eight
FITS = 0.02  # share of the images that may stand in another class than published
DIFFERS = 0.06  # share from which an order does not fit
FORMS = f"{', '.join(ORDERS)}, {ALPHABETICAL}, or 0=surprise,1=fear,..."
CURE = f"say by DATASET.CLASS_IDS which is which: {FORMS}"


@dataclass(frozen=True)
class NumberedOptions(Options):
    """``DATASET``, of a set that may come with numbers for labels."""

    class_ids: str = ""  # which number is which class: see FORMS; "" = as the set's owners count


@dataclass(frozen=True)
class Numbering:
    """Number -> class, the order's name, whether the user chose it."""

    ids: Mapping[int, str]
    name: str
    chosen: bool
    present: frozenset[int]  # the numbers that occur

    def __str__(self) -> str:
        return f"{', '.join(f'{number} = {name}' for number, name in sorted(self.ids.items()))} ({self.name})"


def read_order(text: str, present: Collection[int], name_class: Callable[[str], str] = canonical) -> dict[int, str]:
    """DATASET.CLASS_IDS -> number -> class.

    Args:
        text: the name of an order, or pairs as 0=surprise.
        present: the numbers that occur; an alphabetical order depends on how many there are.
        name_class: name -> class; it raises a DataError for what is none.

    Raises:
        OptionError: it is neither; or a number or a class stands there twice.
    """
    if text == ALPHABETICAL:
        return alphabetical(present)
    if text in NAMED:
        return dict(NAMED[text])
    if "=" not in text:
        raise OptionError(f"DATASET.CLASS_IDS is {text!r}: {closest(text, [*NAMED, ALPHABETICAL])}; or 0=surprise,...")
    ids: dict[int, str] = {}
    for pair in text.split(","):
        number, _, name = (part.strip() for part in pair.partition("="))
        if not number.isdecimal() or not name or int(number) in ids:
            raise OptionError(f"DATASET.CLASS_IDS: {pair.strip()!r} must be a number, once, = and a class; of {text!r}")
        try:
            ids[int(number)] = name_class(name)
        except DataError as error:
            raise OptionError(f"DATASET.CLASS_IDS: {error}") from None
    return ids


def alphabetical(present: Collection[int]) -> dict[int, str]:
    """The seven classes, or with a number 7 the eight, in the order of the alphabet, from 0.

    Raises:
        OptionError: other numbers than 0 to 7 occur.
    """
    if max(present, default=0) > 7:
        raise OptionError(f"DATASET.CLASS_IDS alphabetical is 0 to 7, not {max(present)}: name them, 0=anger,...")
    return dict(enumerate(sorted(CLASSES if 7 in present else CLASSES[:7])))


def number_classes(
    text: str,
    default: str,
    present: Collection[int],
    *,
    also: Mapping[int, str] | None = None,
    given: Mapping[int, str] | None = None,
    name_class: Callable[[str], str] = canonical,
) -> Numbering:
    """What the numbers that occur mean.

    Args:
        text: DATASET.CLASS_IDS; "" = `default`.
        default: the order of the data set's owners; "" = there is none, the user has to say.
        present: the numbers that occur.
        also: further numbers of the owners, which are no class of ours.
        given: what the copy itself says, as in data.yaml; it is taken for the default.
        name_class: name -> class; it raises a DataError for what is none.

    Raises:
        OptionError: `text` is no order.
        DataError: no order.
    """
    if given and not text:
        text, ids = "as the copy says", dict(given)
    elif text or default:
        ids = read_order(text or default, present, name_class)
    else:
        numbers = ", ".join(map(str, sorted(present)))
        raise DataError(f"the classes are numbers ({numbers}), which every data set counts otherwise: {CURE}")
    known = ids if text else ids | dict(also or {})
    return Numbering(known, text or default, bool(text), frozenset(present))


def class_of(ids: Mapping[int, str], number: int) -> str:
    """The class of a number that occurs; raises DataError where DATASET.CLASS_IDS lacks it."""
    if number not in ids:
        raise DataError(f"no class has the number {number}; {CURE}")
    return ids[number]


Counts = Mapping[str, Mapping[int, int]]  # split -> number -> images
Published = Mapping[str, Mapping[str, int]]  # split -> class -> images


def distance(ids: Mapping[int, str], counts: Counts, published: Published) -> float:
    """The share of images that would have to change their class to be divided as published; the worst split's.

    1 where it cannot be told: an order lacks a number, or fewer than two classes are published.
    """
    worst = 0.0
    for split, found in counts.items():
        pairs = [(n, published[split].get(ids[number], 0)) for number, n in found.items() if number in ids]
        pairs = [(n, wanted) for n, wanted in pairs if wanted]
        total, expected = (sum(column) for column in zip(*pairs, strict=True)) if pairs else (0, 0)
        if len(pairs) < 2 or not total or not set(found) <= set(ids):
            return 1.0
        worst = max(worst, sum(abs(n / total - wanted / expected) for n, wanted in pairs) / 2)
    return worst


def compare_orders(numbering: Numbering, found: Mapping[str, Iterable[str]], published: Published) -> tuple[str, str]:
    """`better_order` for the classes found, split by split; nothing where two numbers are one class."""
    number = {name: number for number, name in numbering.ids.items()}
    if len(number) < len(numbering.ids):
        return "", ""
    counts = {split: Counter(number[name] for name in found[split] if name in number) for split in published}
    return better_order(numbering, counts, published)


def better_order(numbering: Numbering, counts: Counts, published: Published) -> tuple[str, str]:
    """Whether the published counts fit another order: ("stop" or "warn" or "", what there is to say)."""
    used = distance(numbering.ids, counts, published)
    others = ORDERS | {"rafdb from 0": dict(enumerate(CLASSES))}
    if max(numbering.present) < len(CLASSES):
        others = others | {ALPHABETICAL: alphabetical(numbering.present)}
    distances = {name: distance(ids, counts, published) for name, ids in others.items()}
    name = min(distances, key=distances.__getitem__)
    nearest = distances[name]
    if used <= DIFFERS or nearest > used / 2:
        return "", ""
    ids = others[name]
    shown = ",".join(f"{number}={ids[number]}" for number in sorted(numbering.present))
    text = (
        f"the numbers read as {numbering} put {used:.0%} of the images into other classes than published; in the order "
        f"{name} ({shown}) it is {nearest:.0%}"
    )
    option = name if name in (*ORDERS, ALPHABETICAL) else shown
    if nearest <= FITS and not numbering.chosen:
        return "stop", f"{text}: if that is this copy's order, set DATASET.CLASS_IDS {option}, else {numbering.name}"
    return "warn", f"{text} (DATASET.CLASS_IDS {option})"
