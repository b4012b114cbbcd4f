"""The findings, for people and for programs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from mpafer.doctor.checks import imbalance
from mpafer.doctor.findings import KINDS, Case, Finding
from mpafer.doctor.images import Facts
from mpafer.doctor.subject import Subject

HANDFUL = 5  # cases shown of a finding


def status(findings: Sequence[Finding]) -> str:
    """ "errors" if training or its evaluation would be wrong, else "warnings" or "ok"."""
    severities = {finding.severity for finding in findings}
    return "errors" if "error" in severities else "warnings" if "warning" in severities else "ok"


def as_json(subject: Subject, facts: Mapping[str, Facts], findings: Sequence[Finding]) -> dict[str, Any]:
    """Everything, unabridged."""
    return {
        "dataset": subject.name,
        "folder": subject.folder,
        "status": status(findings),
        "classes": list(subject.classes),
        "counts": _counts(subject),
        "imbalance": imbalance(subject),
        "sizes": {f"{width} x {height}": n for (width, height), n in _sizes(facts).most_common()},
        "skipped": subject.skipped.counts,
        "findings": [
            {
                "kind": finding.kind,
                "severity": finding.severity,
                "title": KINDS[finding.kind].title,
                "cure": KINDS[finding.kind].cure,
                "cases": [{"files": list(files), "detail": detail} for files, detail in finding.cases],
            }
            for finding in findings
        ],
    }


def as_text(subject: Subject, facts: Mapping[str, Facts], findings: Sequence[Finding]) -> str:
    """Counts, notes, then OK or what is to be done."""
    lines = [f"{subject.name} in {subject.folder}: {len(facts)} image files"]
    if subject.splits:
        lines += ["", _counts_table(subject), ""]
    for split, about in imbalance(subject).items():
        large, small = about["images"]
        unequal = f"{about['largest']} has {about['ratio']:.1f} times the images of {about['smallest']}"
        lines.append(f"{split}: {f'{unequal} ({large} and {small})' if large > small else f'{large} images a class'}")
    if sizes := [f"{width} x {height} ({n})" for (width, height), n in _sizes(facts).most_common(4)]:
        lines.append(f"sizes: {', '.join(sizes[:3])}{' ...' if sizes[3:] else ''}")
    if subject.skipped.paths:
        lines.append(f"not used: {', '.join(f'{n:,} {reason}' for reason, n in subject.skipped.counts.items())}")
    for finding in (finding for finding in findings if finding.severity == "note"):
        lines += ["", f"note: {KINDS[finding.kind].title}: {len(finding.cases)}", *_cases(finding, subject.folder)]
    todo = [finding for finding in findings if finding.severity != "note"]
    if not todo:
        return "\n".join([*lines, "", "OK"])
    lines += ["", "To do:"]
    for number, finding in enumerate(sorted(todo, key=lambda finding: finding.severity), start=1):
        _, title, cure = KINDS[finding.kind]
        lines.append(f"{number}. {finding.severity} [{finding.kind}] {title}: {len(finding.cases)}")
        lines += [*_cases(finding, subject.folder), f"   -> {cure}"]
    return "\n".join(lines)


def _cases(finding: Finding, folder: str) -> Iterator[str]:
    for case in finding.cases[:HANDFUL]:
        yield _case(case, folder)
    if len(finding.cases) > HANDFUL:
        yield f"   and {len(finding.cases) - HANDFUL} more"


def _case(case: Case, folder: str) -> str:
    files = [os.path.relpath(path, folder) if path.startswith(f"{folder}/") else path for path in case.files]
    if len(files) > HANDFUL:
        files = [*files[:HANDFUL], f"{len(files) - HANDFUL} more"]
    detail = case.detail.replace("\n", "\n   ")
    return "   " + ": ".join(part for part in (" = ".join(files), detail) if part)


def _sizes(facts: Mapping[str, Facts]) -> Counter[tuple[int, int]]:
    return Counter(fact.size for fact in facts.values() if fact.pixels)


def _counts(subject: Subject) -> dict[str, dict[str, dict[str, int | None]]]:
    """Split -> class -> found and published number of images."""
    by_split: dict[str, dict[str, dict[str, int | None]]] = {}
    for split in dict.fromkeys([*subject.splits, *subject.published]):
        found = Counter(item.label for item in subject.splits.get(split, ()))
        published = subject.published.get(split)
        by_split[split] = {
            name: {"found": found[label], "published": published[label] if isinstance(published, Sequence) else None}
            for label, name in enumerate(subject.classes)
        }
    return by_split


def _counts_table(subject: Subject) -> str:
    counts = _counts(subject)
    columns = {"class": [*subject.classes, "all"]}
    for split, by_class in counts.items():
        for key, header in (("found", split), ("published", f"{split}, published")):
            numbers = [number for row in by_class.values() if (number := row[key]) is not None]
            if numbers:
                columns[header] = [f"{number:,}" for number in [*numbers, sum(numbers)]]
            elif isinstance(total := subject.published.get(split), int):
                columns[header] = [*[""] * len(subject.classes), f"{total:,}"]
    return tabulate(columns, "keys", disable_numparse=True, colalign=["left", *["right"] * (len(columns) - 1)])
