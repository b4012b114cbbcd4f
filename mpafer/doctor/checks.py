"""From the loader's answer and the facts on each image to findings."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mpafer.datasets.items import MissingDataError
from mpafer.datasets.walking import LEFT, UNLISTED
from mpafer.doctor.duplicates import near_duplicates, same_pixels
from mpafer.doctor.findings import ASPECT, KINDS, SMALLEST, Case, Finding
from mpafer.doctor.images import Facts
from mpafer.doctor.subject import Subject

USUAL = 0.9  # share of the images that must have one size before another size is remarkable

NOTED = {LEFT: "left", UNLISTED: "unlisted"}  # reasons with a kind of their own
Uses = Mapping[str, Sequence[tuple[str, int]]]  # path -> split and label, as often as a split holds it
Cases = Iterator[tuple[str, Case]]


def diagnose(
    subject: Subject, facts: Mapping[str, Facts], *, near: bool = True, accept: Sequence[str] = ()
) -> list[Finding]:
    """All findings, in the order of KINDS; errors of a kind in `accept` count as warnings."""
    uses: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for split, items in subject.splits.items():
        for path, label in items:
            uses[path].append((split, label))
    cases: dict[str, list[Case]] = defaultdict(list)
    sources = [loading(subject, uses), reading(facts), shape(facts), labels(subject)]
    sources += [copies(subject, facts, uses), lookalikes(subject, facts, uses) if near else iter(())]
    sources += [unused(subject)]
    for source in sources:
        for kind, case in source:
            cases[kind].append(case)
    for kind, case in stopping(subject, cases):
        cases[kind].append(case)
    findings = []
    for kind, about in KINDS.items():
        if cases[kind]:
            lowered = kind in accept and about.severity == "error"
            findings.append(Finding(kind, "warning" if lowered else about.severity, cases[kind]))
    return findings


def class_name(subject: Subject, label: int) -> str:
    return subject.classes[label] if 0 <= label < len(subject.classes) else f"label {label}"


def loading(subject: Subject, uses: Uses) -> Cases:
    """What the loader reported and warned of."""
    for error in subject.problems:
        if isinstance(error, MissingDataError) and error.paths:
            yield from (("missing", Case([path])) for path in error.paths if path not in uses)  # else read in vain
        elif not _plain(error):
            yield "layout" if isinstance(error, OSError) else "lists", Case(detail=str(error))
    yield from (("warnings", Case(detail=text)) for text in subject.warnings)


def stopping(subject: Subject, cases: Mapping[str, Sequence[Case]]) -> Cases:
    """Where the loader stops for a reason that no other finding tells."""
    if subject.failure and not cases.get("empty") and not cases.get("labels"):
        yield "loader", Case(detail=subject.failure)
    if not any(KINDS[kind].severity == "error" for kind in cases):
        yield from (("loader", Case(detail=str(error))) for error in subject.problems if _plain(error))


def _plain(error: Exception) -> bool:
    """A file that could not be opened, which reading the images tells better."""
    return isinstance(error, OSError) and not isinstance(error, MissingDataError)


def reading(facts: Mapping[str, Facts]) -> Cases:
    for path, fact in facts.items():
        if fact.missing:
            yield "missing", Case([path])
        elif fact.error:
            yield "unreadable", Case([path], fact.error)


def shape(facts: Mapping[str, Facts]) -> Cases:
    """Images that cannot be what they should show."""
    sizes = Counter(fact.size for fact in facts.values() if fact.pixels)
    usual = next((size for size, n in sizes.most_common(1) if n >= USUAL * sizes.total()), None)
    for path, fact in facts.items():
        if not fact.pixels:
            continue
        short, long = sorted(fact.size)
        size = Case([path], f"{fact.size[0]} x {fact.size[1]}")
        if short < SMALLEST:
            yield "small", size
        elif long > ASPECT * short:
            yield "aspect", size
        elif usual and fact.size != usual:
            yield "sizes", size
        if fact.flat:
            yield "flat", Case([path])


def labels(subject: Subject) -> Cases:
    """Labels, and how many images each class has."""
    for split, items in subject.splits.items():
        known = range(len(subject.classes))
        wrong = ((path, label) for path, label in items if label not in known)
        yield from (("labels", Case([path], f"{label} in {split}")) for path, label in wrong)
        found, published = Counter(item.label for item in items), subject.published.get(split)
        if isinstance(published, int) and found.total() != published:
            yield "counts", Case(detail=f"{split}: {found.total()} images, published {published}")
        for label, name in enumerate(subject.classes):
            expected = published[label] if isinstance(published, Sequence) else None
            if items and not found[label] and expected != 0:
                yield "empty" if split == "train" else "untested", Case(detail=f"{name} in {split}")
            if expected is not None and found[label] != expected:
                yield "counts", Case(detail=f"{split} {name}: {found[label]}, published {expected}")


def copies(subject: Subject, facts: Mapping[str, Facts], uses: Uses) -> Cases:
    """Pictures that occur twice: files with equal pixels, or one file in two places of the lists."""
    twice = [[fact] for path, fact in facts.items() if len(uses[path]) > 1 and not fact.missing]
    equal = same_pixels(facts.values())
    grouped = {fact.path for group in equal for fact in group}
    for group in equal + [group for group in twice if group[0].path not in grouped]:
        if any(fact.flat for fact in group):
            continue  # found as such; all black images are equal
        places = [place for fact in group for place in uses[fact.path]]
        how = "one file" if len(group) == 1 else "same bytes" if len({f.content for f in group}) == 1 else "same pixels"
        case = Case([fact.path for fact in group], f"{_where(subject, places)}; {how}")
        if leaks := len({split for split, _ in places}) > 1:
            yield "leak", case
        if conflicts := len({label for _, label in places}) > 1:
            yield "conflict", case
        if not leaks and not conflicts:
            yield "repeated", case


def lookalikes(subject: Subject, facts: Mapping[str, Facts], uses: Uses) -> Cases:
    """Probable copies, those across splits first."""
    pairs = [(pair, [*uses[pair.first], *uses[pair.second]]) for pair in near_duplicates(facts.values())]
    for pair, places in sorted(pairs, key=lambda found: len({split for split, _ in found[1]}), reverse=True):
        detail = f"{_where(subject, places)}; correlation {pair.similarity:.3f}"
        yield "similar", Case([pair.first, pair.second], detail)


def _where(subject: Subject, places: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{split} {class_name(subject, label)}" for split, label in places)


def unused(subject: Subject) -> Cases:
    """What the loader passed over."""
    for reason, paths in subject.skipped.paths.items():
        kind = NOTED.get(reason, "left_out" if reason in subject.skipped.meant else "unused")
        yield from ((kind, Case([path], "" if reason == UNLISTED else reason)) for path in sorted(paths))


def imbalance(subject: Subject) -> dict[str, dict[str, Any]]:
    """Split -> its largest and smallest class, with their numbers of images and the ratio of these."""
    by_split: dict[str, dict[str, Any]] = {}
    for split, items in subject.splits.items():
        found = Counter(item.label for item in items)
        counts = {name: found[label] for label, name in enumerate(subject.classes) if found[label]}
        if counts:
            largest, smallest = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
            by_split[split] = {
                "largest": largest,
                "smallest": smallest,
                "images": [counts[largest], counts[smallest]],
                "ratio": round(counts[largest] / counts[smallest], 2),
            }
    return by_split
