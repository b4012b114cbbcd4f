"""Which of the runs are an ablation's variants, from their configs alone, and the table they make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpafer.ablation.variants import Ablation, load_ablation
from mpafer.common.options import closest
from mpafer.compare.align import aligned
from mpafer.compare.runs import Experiment, config_differences, read_experiments
from mpafer.compare.table import Comparison, Table, add_differences, make_row, provenance
from mpafer.report import find_files


def ablate(name: str, folders: Sequence[str | Path], where: Sequence[str] = ()) -> Comparison:
    """The table of an ablation.

    Args:
        name: one of `configs/ablations`, or a YAML file.
        folders: searched for results, however deep.
        where: KEY VALUE pairs that the runs' configs have to have.

    Raises:
        FileNotFoundError: no results, or none of the ablation.
        ValueError: an unknown ablation or key, or runs of which it is unclear which are meant.
    """
    ablation = load_ablation(name)
    found = read_experiments(find_files(folders), lambda entry: entry.trainer == "MPAFER" and _has(entry, where))
    chosen = _chosen(ablation, found, ", ".join(map(str, folders)))
    labels, experiments = list(chosen), aligned(list(chosen.values()))
    first, shots = experiments[0].runs[0], experiments[0].shots
    rows = [make_row(entry, shots, label) for label, entry in zip(labels, experiments, strict=True)]
    for row, entry in zip(rows, experiments, strict=True):
        row |= _options(ablation, entry)
    reference = dict(zip(labels, experiments, strict=True)).get(ablation.reference)
    warnings = [f"{ablation.name}: no result of '{label}'" for label in _absent(ablation, chosen)]
    warnings += add_differences(rows, experiments, reference, f"'{ablation.reference}'", ablation.name)
    dataset = first.record["dataset"]
    return Comparison(
        title=f"{ablation.title}, {dataset}",
        dataset=dataset,
        classnames=first.record["classnames"],
        images=len(first.images),
        reference=ablation.reference,
        tables=[Table(shots, rows, experiments)],
        provenance=[*provenance(experiments), f"folders: {', '.join(entry.folder.name for entry in experiments)}"],
        published=ablation.published.get(dataset),
        warnings=warnings,
        row="variant",
        split=first.split,
    )


def _node(entry: Experiment) -> dict[str, Any]:
    return entry.runs[0].record["config"]["TRAINER"]["MPAFER"]


def _options(ablation: Ablation, entry: Experiment) -> dict[str, Any]:
    """The varied options of a run; the reference's where the run is older than the option."""
    usual = ablation.variants[ablation.reference]
    return {key: _node(entry).get(key, usual[key]) for key in ablation.varied}


def _has(entry: Experiment, where: Sequence[str]) -> bool:
    from yacs.config import CfgNode

    from mpafer.common.config import merge_list

    config = CfgNode(entry.runs[0].record["config"])
    asked = config.clone()
    merge_list(asked, where)
    return bool(asked == config)


def _chosen(ablation: Ablation, experiments: Sequence[Experiment], place: str) -> dict[str, Experiment]:
    """Label -> experiment, of the runs that differ in nothing but what is varied.

    Runs may lie there that differ in more, for example other ablations': the set with the most variants is it.
    """
    known = {key for entry in experiments for key in _node(entry)}
    for key in ablation.varied if known else ():
        if key not in known:
            raise ValueError(
                f"the runs have no option {key} that the ablation {ablation.name} varies: {closest(key, known)}"
            )
    sets: list[list[Experiment]] = []
    for entry in experiments:
        for others in sets:
            if not _other_differences(ablation, others[0], entry):
                others.append(entry)
                break
        else:
            sets.append([entry])
    labelled = [named for named in (_labels(ablation, entries) for entries in sets) if named]
    if not labelled:
        there = ", ".join(sorted(entry.folder.name for entry in experiments)) or "no runs of MPAFER"
        raise FileNotFoundError(f"no results of ablation {ablation.name} under {place}; there are: {there}")
    most = max(map(len, labelled))
    best = [named for named in labelled if len(named) == most]
    if len(best) > 1:
        a, b = (next(iter(named.values()))[0] for named in best[:2])
        listed = "; ".join(f"{key} {x!r} or {y!r}" for key, (x, y) in _other_differences(ablation, a, b).items())
        raise ValueError(
            f"the ablation {ablation.name} was run with several configs under {place}: choose by --where KEY VALUE "
            f"({listed}), or name the variants' folders"
        )
    for label, entries in best[0].items():
        if len(entries) > 1:
            raise ValueError(
                f"{entries[0].folder} and {entries[1].folder} are both the variant '{label}' of {ablation.name}: "
                "name the variants' folders, without one of them"
            )
    return {label: entries[0] for label, entries in best[0].items()}


def _other_differences(ablation: Ablation, first: Experiment, other: Experiment) -> dict[str, tuple[Any, Any]]:
    """Of two experiments' configs, but for what is varied."""
    differing = config_differences(first.runs[0], other.runs[0])
    return {key: both for key, both in differing.items() if key.removeprefix("TRAINER.MPAFER.") not in ablation.varied}


def _labels(ablation: Ablation, experiments: Sequence[Experiment]) -> dict[str, list[Experiment]]:
    """Label -> experiments, of the variants that there are, in the table's order."""
    variants = ablation.variants
    if ablation.doubling:
        variants = ablation.doubled(sorted({_options(ablation, entry)[ablation.doubling[1]] for entry in experiments}))
    named = {
        label: [entry for entry in experiments if _options(ablation, entry) == options]
        for label, options in variants.items()
    }
    return {label: entries for label, entries in named.items() if entries}


def _absent(ablation: Ablation, named: dict[str, Experiment]) -> list[str]:
    """Labels of variants without a result; of a doubling, those below the largest there is."""
    expected = list(ablation.variants)
    if ablation.doubling:
        from mpafer.ablation.plan import doubling

        largest = max(int(label.rpartition(" ")[2]) for label in named)
        expected = list(ablation.doubled(doubling(largest)))
    return [label for label in expected if label not in named]
