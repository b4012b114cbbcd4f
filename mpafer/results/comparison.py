"""Methods side by side on one data set: per number of shots one row a method, from results alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mpafer.common.errors import DataError
from mpafer.results.experiments import ALL, Experiment, aligned, shots_name
from mpafer.results.rows import add_differences, make_row, provenance, published
from mpafer.results.schema import RunResult
from mpafer.results.table import Row


@dataclass(frozen=True)
class Block:
    """All methods at one number of shots."""

    shots: int
    rows: list[Row]
    experiments: list[Experiment]  # the rows' runs, in their order


@dataclass(frozen=True)
class Comparison:
    """Everything that is written, as tables, files and figures, about one data set."""

    title: str
    dataset: str
    classnames: list[str]
    images: int  # tested
    reference: str
    blocks: list[Block]
    provenance: list[str]
    published: dict[str, Any] | None  # {"source", "rows": method -> accuracy, maybe "column": what else it is}
    warnings: list[str]
    row: str = "method"  # what stands in the rows
    split: str = "test"


def compare(experiments: Sequence[Experiment], reference: str = "MPAFER", shots: Sequence[int] = ()) -> Comparison:
    """Tables over every number of shots that was trained with; what does not learn stands in each of them.

    Args:
        experiments: from `load_experiments`.
        reference: trainer, or trainer and config ("MPAFER tiny"), that the others are compared with.
        shots: those asked for; a missing one is a warning.

    Raises:
        DataError: several rows of one table go by the reference's name, or runs have other test images.
    """
    experiments = aligned(experiments)
    found = sorted({entry.shots for entry in experiments if entry.learns} or {ALL}, key=_order)
    warnings = [f"no result of a method that learns: {shots_name(each)}" for each in shots if each not in found]
    several = len({entry.cfg for entry in experiments}) > 1
    blocks = []
    for each in found:
        chosen = [entry for entry in experiments if entry.shots == each or not entry.learns]
        chosen.sort(key=lambda entry: (reference not in _names(entry), entry.name.lower()))
        rows = [make_row(entry, each, entry.name if several else entry.trainer) for entry in chosen]
        references = [entry for entry in chosen if reference in _names(entry)]
        if len(references) > 1:
            listed = ", ".join(f"'{entry.name}'" for entry in references)
            raise DataError(f"several rows are {reference}: {listed}; choose by --reference, or by --cfg")
        warnings += add_differences(rows, chosen, references[0] if references else None, reference, shots_name(each))
        blocks.append(Block(each, rows, chosen))
    first = experiments[0].runs[0]
    name = _name(first)
    return Comparison(
        title=f"Methods on {name}",
        dataset=name,
        classnames=list(first.display_names),
        images=len(first.images),
        reference=reference,
        blocks=blocks,
        provenance=provenance(experiments),
        published=published(first.dataset) if name == first.title else None,
        warnings=warnings,
        split=first.split,
    )


def _name(run: RunResult) -> str:
    """The data set's title, and what the run was trained on where that is another set or has other classes."""
    if (run.trained_on, run.source_title) != (run.dataset, run.title):
        return f"{run.title}, trained on {run.source_title}"
    if run.trained_classes != list(run.classnames):
        return f"{run.title} ({', '.join(run.display_names)}), trained on {', '.join(run.trained_classes)}"
    return run.title


def _order(shots: int) -> float:
    return float("inf") if shots == ALL else shots


def _names(entry: Experiment) -> tuple[str, str]:
    return entry.trainer, entry.name
