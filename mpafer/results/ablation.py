"""Variants of MPA-FER side by side: their runs carry the plan that started them, and the table reads it there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpafer.common.errors import DataError, MissingFileError, OptionError
from mpafer.common.files import atomic_file
from mpafer.results.comparison import Block, Comparison
from mpafer.results.comparison_pages import write
from mpafer.results.document import Figure
from mpafer.results.experiments import (
    Experiment,
    aligned,
    check_alike,
    find_results,
    read_experiment,
    run_differences,
)
from mpafer.results.figures import COLORS, draw_band, save_figure
from mpafer.results.plans import read_plans
from mpafer.results.rows import METRICS, add_differences, make_row, provenance
from mpafer.results.statistics import SPLITS
from mpafer.results.table import as_csv
from mpafer.results.variants import Ablation, doubling, load_ablation

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def ablate(name: str, folders: Sequence[str | Path], where: Sequence[str] = ()) -> Comparison:
    """The table of an ablation.

    Args:
        name: one of `configs/ablations`, or a YAML file.
        folders: searched for results, however deep.
        where: KEY VALUE pairs that the runs' configs have to have.

    Raises:
        MissingFileError: no results, or none of the ablation.
        OptionError: an unknown ablation or key, or several plans of it.
        DataError: a run that is not what its plan says, or two of one variant.
    """
    ablation = load_ablation(name)
    chosen = _chosen(ablation, folders, where)
    labels, experiments = list(chosen), aligned(list(chosen.values()))
    first, shots = experiments[0].runs[0], experiments[0].shots
    rows = [make_row(entry, shots, label) for label, entry in zip(labels, experiments, strict=True)]
    for row, entry in zip(rows, experiments, strict=True):
        row |= _options(ablation, entry)
    reference = dict(zip(labels, experiments, strict=True)).get(ablation.reference)
    warnings = [f"{ablation.name}: no result of '{label}'" for label in _absent(ablation, labels)]
    warnings += add_differences(rows, experiments, reference, f"'{ablation.reference}'", ablation.name)
    return Comparison(
        title=f"{ablation.title}, {first.title}",
        dataset=first.title,
        classnames=list(first.display_names),
        images=len(first.images),
        reference=ablation.reference,
        blocks=[Block(shots, rows, experiments)],
        provenance=[*provenance(experiments), f"folders: {', '.join(entry.folder.name for entry in experiments)}"],
        published=ablation.published.get(first.dataset),
        warnings=warnings,
        row="variant",
        split=first.split,
    )


def _chosen(ablation: Ablation, folders: Sequence[str | Path], where: Sequence[str]) -> dict[str, Experiment]:
    """Variant -> its experiment, in the table's order."""
    found: dict[str, list[tuple[str, Experiment]]] = {}  # plan -> its variants
    for group, files in find_results(folders).items():
        notes = read_plans(group).get(ablation.name)
        if notes and _has(entry := read_experiment(group, files), where):
            for plan, label in notes.items():
                found.setdefault(plan, []).append((label, entry))
    place = ", ".join(map(str, folders)) + (f" with {' '.join(where)}" if where else "")
    if not found:
        raise MissingFileError(
            f"no runs of a plan of ablation {ablation.name} under {place}: start mpafer ablate "
            f"{ablation.name} with the same arguments again; it skips finished runs and notes their plan"
        )
    if len(found) > 1:
        raise OptionError(
            f"several plans of ablation {ablation.name} under {place}: {', '.join(sorted(found))}; choose by "
            f"KEY VALUE pairs ({_what_differs(ablation, *list(found.values())[:2])}), or name the variants' folders"
        )
    (pairs,) = found.values()
    variants: dict[str, Experiment] = {}
    for label, entry in pairs:
        _check(ablation, label, entry)
        if label in variants:
            raise DataError(
                f"{variants[label].folder} and {entry.folder} are both the variant '{label}' of {ablation.name}: "
                "name the variants' folders, without one of them"
            )
        variants[label] = entry
    check_alike(list(variants.values()))
    return {label: variants[label] for label in _variants(ablation, list(variants)) if label in variants}


def _what_differs(ablation: Ablation, *plans: Sequence[tuple[str, Experiment]]) -> str:
    """Of the configs of two plans, but for what the ablation varies."""
    (_, first), (_, other) = (plan[0] for plan in plans)
    differing = run_differences(first.runs[0], other.runs[0])
    varied = {f"TRAINER.MPAFER.{key}" for key in ablation.varied}
    listed = [f"{key} {a!r} or {b!r}" for key, (a, b) in differing.items() if key not in varied]
    return "; ".join(listed) or "their configs are equal"


def _variants(ablation: Ablation, labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """All variants and their options; of a doubling those up to the largest of the labels."""
    if not ablation.doubling:
        return ablation.variants
    numbers = [int(number) for label in labels if (number := label.rpartition(" ")[2]).isdigit()]
    return ablation.doubled(sorted({*numbers, *doubling(max(numbers, default=1))}))


def _check(ablation: Ablation, label: str, entry: Experiment) -> None:
    """A plan that was changed, or a folder that was renamed, is not believed."""
    declared = _variants(ablation, [label]).get(label)
    options = _options(ablation, entry)
    if declared != options:
        shown = f"declared {declared}" if declared else "the ablation has no such variant"
        raise DataError(
            f"{entry.folder} is noted as variant '{label}' of {ablation.name}, but was run with {options}: {shown}"
        )


def _options(ablation: Ablation, entry: Experiment) -> dict[str, Any]:
    """The varied options of a run; the reference's where the run is older than the option."""
    usual, node = ablation.variants[ablation.reference], entry.runs[0].config["TRAINER"]["MPAFER"]
    return {key: node.get(key, usual[key]) for key in ablation.varied}


def _has(entry: Experiment, where: Sequence[str]) -> bool:
    """Whether an experiment's config has these KEY VALUE pairs."""
    from yacs.config import CfgNode

    from mpafer.common.config import merge, read_pairs

    config = CfgNode(entry.runs[0].config)
    asked = config.clone()
    merge(asked, "--where", read_pairs(where))
    return bool(asked == config)


def _absent(ablation: Ablation, labels: Sequence[str]) -> list[str]:
    return [label for label in _variants(ablation, labels) if label not in labels]


def write_ablation(
    name: str, runs: Sequence[str | Path], out: str | Path, stem: str = "ablation", where: Sequence[str] = ()
) -> None:
    """All files in ``out``, and the table on the terminal; raises what `ablate` does."""
    comparison, doubled = ablate(name, runs, where), load_ablation(name).doubling
    write(comparison, [_draw_curve(comparison, *doubled, Path(out), stem)] if doubled else [], out, stem)


def _draw_curve(comparison: Comparison, symbol: str, option: str, folder: Path, stem: str) -> Figure:
    """Accuracy over a number that the ablation doubles: ``stem``_curve.png and .csv; mean ± sample deviation."""
    (block,) = comparison.blocks
    columns = ["n", *(column for key in METRICS for column in (key, f"{key}_sd"))]
    points = [{symbol: row[option]} | {column: row[column] for column in columns} for row in block.rows]
    with atomic_file(folder / f"{stem}_curve.csv") as file:
        file.write(as_csv(points).encode())

    def draw(axes: Axes) -> None:
        from matplotlib.ticker import NullLocator

        x, y = ([row[key] for row in block.rows] for key in (option, "accuracy"))
        sd = [row["accuracy_sd"] or 0.0 for row in block.rows]
        draw_band(axes, x, y, sd, marker="o", color=COLORS[5])
        axes.set_xscale("log", base=2)
        axes.set_xticks(x, [str(value) for value in x])
        if len(x) > 1 and x[-1] < 1.5 * x[-2]:  # all patches, next to a power of two
            axes.get_xticklabels()[-2].set_horizontalalignment("right")
            axes.get_xticklabels()[-1].set_horizontalalignment("left")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(symbol)
        axes.set_ylabel("WAR, %")
        axes.set_title(f"{comparison.dataset}, {SPLITS[comparison.split]} images")

    save_figure(draw, folder / f"{stem}_curve.png", 5, 3.5)
    return Figure(f"{stem}_curve.png", f"Accuracy (WAR) over {symbol}, mean ± sd over the seeds")
