"""Aligned copies of a folder of images, with a list of what was done with each; stopped, it goes on where it was."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from joblib import Parallel, cpu_count, delayed

from mpafer.common.errors import DataError, MissingFileError, OptionError
from mpafer.common.files import atomic_file, make_folder, prune_temporary
from mpafer.common.processes import end_joblib
from mpafer.common.progress import progress
from mpafer.datasets.walking import Skipped, find_images
from mpafer.engine.holding import held
from mpafer.faces.alignment import DEFAULT_TEMPLATE, Template
from mpafer.faces.copies import CHUNK, LEFT_OUT, UNREADABLE, Copied, How, copy_aligned, copy_name, measure_files
from mpafer.faces.detector import load_detector
from mpafer.inference.face_template import run_template

LIST, SETTINGS = "align.csv", "align.json"
MEASURED, DEFAULT = "measured", "default"


@dataclass(frozen=True)
class Order:
    """What is to be copied, and how.

    Args:
        source: a folder, with images at any depth.
        target: another one, not within it.
        template: measured (on the source), default, or the folder of a run.
        detector: as `load_detector` takes it.
        size: a copy's side in pixels.
        skip: leave out images without a face; else their centre square is kept.
    """

    source: Path
    target: Path
    template: str
    detector: str
    size: int
    skip: bool

    def kept(self) -> dict[str, Any]:
        """What the copies in a folder have in common."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}


def align_folder(order: Order, jobs: int | None = None) -> list[Copied]:
    """Write aligned copies of a folder's images under their names, and say what was done with each.

    Beside them stand align.csv, a line for each image, and align.json, how they were made. Images that align.csv names
    and whose copies are there are not done again.

    Args:
        order: what is to be done.
        jobs: processes; default one a core.

    Raises:
        MissingFileError: no source, or no images in it.
        OptionError: the target lies within the source, or holds copies that were made in another way.
        DataError: two copies would have the same name, or align.json is damaged.
        FolderInUseError: another process writes there.
        MissingPackageError: the extra `faces` is not installed.
    """
    order = replace(order, source=order.source.expanduser().resolve(), target=order.target.expanduser().resolve())
    load_detector(order.detector)
    images = _images(order)
    make_folder(order.target, "DST")
    with held(order.target, "DST"):
        try:
            return _copy_all(order, images, jobs or cpu_count())
        finally:
            end_joblib()


def _images(order: Order) -> list[str]:
    if not order.source.is_dir():
        raise MissingFileError(f"SRC {order.source}: there is no such folder")
    if order.target.is_relative_to(order.source):
        raise OptionError(f"DST {order.target} lies within SRC {order.source}: name a folder outside of it")
    images = find_images(order.source, Skipped())
    if not images:
        raise MissingFileError(f"SRC {order.source}: there are no images in it")
    name, times = Counter(map(copy_name, images)).most_common(1)[0]
    if times > 1:
        raise DataError(f"two images of {order.source} would have the same copy, {name}: rename one of them")
    return images


def _copy_all(order: Order, images: list[str], jobs: int) -> list[Copied]:
    how = How(order.detector, _template(order, images, jobs), order.size, order.skip)
    done = {line.image: line for line in _read_list(order.target)}
    _write_list(order.target, done.values())
    for folder in {(order.target / image).parent for image in images}:
        folder.mkdir(parents=True, exist_ok=True)
        prune_temporary(folder)
    left = [image for image in images if image not in done]
    chunks = [left[start : start + CHUNK] for start in range(0, len(left), CHUNK)]
    results = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(copy_aligned)(order.source, order.target, chunk, how) for chunk in chunks
    )
    with open(order.target / LIST, "a", encoding="utf-8", newline="") as file:
        for _, lines in zip(progress(chunks, f"images, {CHUNK} a step,"), results, strict=True):
            csv.writer(file).writerows(lines)
            file.flush()
            done |= {line.image: line for line in lines}
    lines = [done[image] for image in images]
    _write_list(order.target, lines)
    return lines


def _template(order: Order, images: list[str], jobs: int) -> Template:
    """The order's template: that of the copies which are there already, or a new one, which is kept."""
    file = order.target / SETTINGS
    if file.is_file():
        return _kept_template(order, file)
    if order.template == DEFAULT:
        template: Template | None = DEFAULT_TEMPLATE
    elif order.template == MEASURED:
        template = measure_files(order.detector, [order.source / image for image in images], jobs)
    else:
        template = run_template(order.template, order.detector, jobs=jobs)
    if template is None:
        raise DataError(
            f"SRC {order.source}: too few faces are found in it to measure where they lie; take --template {DEFAULT}"
        )
    with atomic_file(file) as out:
        out.write(json.dumps({"order": order.kept(), "template": asdict(template)}, indent=1).encode())
    return template


def _kept_template(order: Order, file: Path) -> Template:
    try:
        kept = json.loads(file.read_bytes())
        template, other = Template.of(kept["template"]), kept["order"]
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{file} is damaged: name another folder, or remove this one") from error
    for key, value in order.kept().items():
        if other.get(key) != value and key != "target":
            raise OptionError(
                f"DST {order.target} holds other copies ({key} {other.get(key)}, not {value}): name another folder"
            )
    return template


def _read_list(target: Path) -> list[Copied]:
    """What earlier starts have done; a line that was not written to its end, or whose copy is gone, is passed over."""
    if not (target / LIST).is_file():
        return []
    with open(target / LIST, encoding="utf-8", newline="") as file:
        lines = [Copied(*row) for row in csv.reader(file) if len(row) == len(Copied._fields)]
    return [line for line in lines if line.done == LEFT_OUT or (line.copy and (target / line.copy).is_file())]


def _write_list(target: Path, lines: Iterable[Copied]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([Copied._fields, *lines])
    with atomic_file(target / LIST) as file:
        file.write(text.getvalue().encode())


def in_words(lines: list[Copied]) -> str:
    """How many images were done how."""
    counts = Counter(line.done.partition(":")[0] if line.done.startswith(UNREADABLE) else line.done for line in lines)
    return f"{len(lines):,} images: " + ", ".join(f"{count:,} {done}" for done, count in counts.most_common())
