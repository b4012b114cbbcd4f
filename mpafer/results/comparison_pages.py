"""A comparison as people and programs read it: sections, tables, figures, and the files of all of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpafer.results.comparison import Block, Comparison, compare
from mpafer.results.document import DRAWN, Figure, Section, write_document
from mpafer.results.experiments import ALL, load_experiments, shots_name
from mpafer.results.figures import draw_band, draw_confusion, legend_outside, line_style, save_figure
from mpafer.results.rows import METRICS
from mpafer.results.statistics import SPLITS, explanation
from mpafer.results.table import Column, Row, Table, as_csv, differences, mean, mean_of, number, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURES = (
    "Mean ± sample standard deviation over n seeds, in %. WAR: share of the images that are right (accuracy). "
    "UAR: mean recall of the classes. ECE: expected calibration error, 15 bins."
)
FIXED = "A method that learns nothing has one result (n = 1), which is shown for every number of shots."
MEMORY = (
    "Peak memory is that of tensors on the GPU (gpu), or the largest resident size of the whole process (process), "
    "from the start, or last resumption, of the run to the end of its evaluation. Times are those of the training "
    "epochs, and longer where runs shared a machine."
)


def write_comparison(
    runs: str | Path,
    out: str | Path,
    reference: str = "MPAFER",
    shots: Sequence[int] | None = None,
    cfgs: Sequence[str] | None = None,
) -> None:
    """All files in ``out``, and the tables on the terminal.

    Raises:
        MissingFileError: no results, or none that is asked for.
        DataError: results that cannot be read or compared; the files are named.
    """
    comparison = compare(load_experiments(runs, shots, cfgs), reference, shots or ())
    write(comparison, draw_figures(comparison, Path(out)), out, "comparison")


def write(comparison: Comparison, figures: Sequence[Figure], out: str | Path, stem: str) -> None:
    """A comparison's document in all forms."""
    named = [[_named(comparison, row) for row in block.rows] for block in comparison.blocks]
    content = {
        "dataset": comparison.dataset,
        "split": comparison.split,
        "test_images": comparison.images,
        "classnames": comparison.classnames,
        "reference": comparison.reference,
        "difference": explanation(comparison.row, comparison.split),
        "warnings": comparison.warnings,
        "tables": [{"shots": b.shots, "rows": rows} for b, rows in zip(comparison.blocks, named, strict=True)],
        "published": comparison.published,
        "runs": comparison.provenance,
    }
    rows = [row for rows in named for row in rows]
    document = sections(comparison, figures)
    write_document(document, out, stem, csv=as_csv(rows), content=content, warnings=comparison.warnings)


def _named(comparison: Comparison, row: Row) -> Row:
    """The first column is called what stands in it."""
    return {comparison.row: row["method"]} | {key: value for key, value in row.items() if key != "method"}


def sections(comparison: Comparison, figures: Sequence[Figure] = ()) -> list[Section]:
    """The whole document."""
    tested = f"{comparison.images:,} {SPLITS[comparison.split]} images"
    tested += " a seed." if comparison.split == "val" else "."
    head: list[str | Table | Figure] = [f"{tested} {MEASURES}"]
    if comparison.row == "method":
        head.append(FIXED)
    if comparison.dataset.startswith("SketchFER"):
        head.append(DRAWN)
    head += [f"Warning: {warning}." for warning in comparison.warnings]
    found = [Section(comparison.title, 1, head)]
    for block in comparison.blocks:
        compared = any(row["difference"] is not None for row in block.rows)
        results: list[str | Table | Figure] = [_results(comparison, block, compared)]
        if compared:
            results.append(explanation(comparison.row, comparison.split))
        title, first = images_a_class(block.shots), text(comparison.row, "method")
        recalls = [mean_of(name, "recall", name) for name in comparison.classnames]
        found += [
            Section(title.capitalize(), 2, results),
            Section(f"Recall of each class, %, {title}", 3, [Table([first, *recalls], block.rows)], detail=True),
            Section(f"Cost, mean over the seeds, {title}", 3, [_costs(first, block), MEMORY], detail=True),
        ]
    if comparison.published:
        found.append(_published(comparison.published))
    if figures:
        found.append(Section("Figures", 2, list(figures), detail=True))
    found.append(Section("Runs", 2, ["; ".join(comparison.provenance) + "."], detail=True))
    return found


def images_a_class(shots: int) -> str:
    """As headings and captions say it."""
    return "all training images" if shots == ALL else f"{shots} training image{'s' if shots > 1 else ''} a class"


def _results(comparison: Comparison, block: Block, compared: bool) -> Table:
    columns = [text(comparison.row, "method"), text("n", "n")]
    columns += [mean(f"{name} %", key, lower_is_better=key == "ece") for key, name in METRICS.items()]
    columns += differences(comparison.reference) if compared else []
    return Table(columns, block.rows)


def _costs(first: Column, block: Block) -> Table:
    def memory(row: Row) -> str:
        size = row["peak_memory_bytes"]
        return "-" if size is None else f"{size / 2**20:,.0f} ({row['peak_memory_of']})"

    columns = [
        first, number("learnable values", "learnable_values"), number("checkpoint bytes", "checkpoint_bytes"),
        number("training s", "train_seconds", 1), number("images/s", "images_per_second", 1),
        Column("peak memory MiB", memory),
    ]  # fmt: skip
    return Table(columns, block.rows)


def _published(known: dict[str, Any]) -> Section:
    rows = [
        {"name": name, "value": value if isinstance(value, str) else f"{value:.2f}"}
        for name, value in known["rows"].items()
    ]
    columns = [text("published", "name"), text(known.get("column", "accuracy %"), "value")]
    source = f"Source: {known['source']}."
    return Section("Published, not measured here", 2, [Table(columns, rows, source), source], detail=True)


def draw_figures(comparison: Comparison, folder: Path) -> list[Figure]:
    """Accuracy over the shots, and a confusion matrix a method, in ``folder``/figures."""
    made = [Figure("figures/accuracy.png", "Accuracy (WAR) over training images a class, mean ± sd")]
    save_figure(lambda axes: _draw_accuracy(axes, comparison), folder / made[0].file, 7, 4)
    seen: set[str] = set()  # what does not learn stands in every table
    for block in comparison.blocks:
        for row, entry in zip(block.rows, block.experiments, strict=True):
            title = name = row["method"]
            if entry.learns:
                title, name = f"{title}, {images_a_class(block.shots)}", f"{name}_{shots_name(block.shots)}"
            if name in seen:
                continue
            seen.add(name)
            file = f"figures/confusion_{re.sub(r'[^A-Za-z0-9._=+-]', '-', name)}.png"
            draw_confusion(entry, title, folder / file)
            made.append(Figure(file, f"Confusion matrix, {title}, %"))
    return made


def _draw_accuracy(axes: Axes, comparison: Comparison) -> None:
    ticks = {block.shots: place for place, block in enumerate(comparison.blocks)}
    rows = [row for block in comparison.blocks for row in block.rows]
    for place, method in enumerate(dict.fromkeys(row["method"] for row in rows)):
        _draw_method(axes, [row for row in rows if row["method"] == method], ticks, line_style(place))
    axes.set_xticks(list(ticks.values()), ["all" if shots == ALL else str(shots) for shots in ticks])
    axes.set_xlim(-0.4, len(ticks) - 0.6)
    axes.set_xlabel("training images a class")
    axes.set_ylabel("WAR, %")
    axes.set_title(comparison.dataset)
    legend_outside(axes)


def _draw_method(axes: Axes, rows: list[Row], ticks: dict[int, int], style: dict[str, Any]) -> None:
    """A band over the numbers of shots; all images are a tick apart, reached by a dotted line."""
    points = [(ticks[row["shots"]], row["accuracy"], row["accuracy_sd"] or 0.0, row["shots"]) for row in rows]
    few, whole = [p for p in points if p[3] != ALL], [p for p in points if p[3] == ALL]
    label = rows[0]["method"]
    if len(few) > 1:
        draw_band(axes, *zip(*((x, y, sd) for x, y, sd, _ in few), strict=True), label=label, **style)
    for x, y, sd, _ in [*(few if len(few) == 1 else []), *whole]:
        shown = None if few and (x, y, sd, ALL) in whole else label
        axes.errorbar(x, y, yerr=sd, capsize=3, **style | {"linestyle": "none", "label": shown})
    if few and whole:
        (x, y, *_), (place, level, *_) = few[-1], whole[0]
        axes.plot([x, place], [y, level], color=style["color"], linestyle=":", linewidth=1)
