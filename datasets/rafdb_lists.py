"""RAF-DB's lists: the official one, APViT's train.txt and test.txt, CEPrompt's three files keyed by number."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from mpafer.common.errors import DataError
from mpafer.common.texts import read_text
from mpafer.datasets.columns import class_number
from mpafer.datasets.items import MissingDataError, Problems
from mpafer.prompting.expressions import class_key

OFFICIAL = ("list_patition_label.txt", "list_partition_label.txt")  # the first is the real name, the readme has both
HALVES = ("train.txt", "test.txt")
KEYED = ("images.txt", "image_class_labels.txt", "train_test_split.txt")
SPLITS = {"1": "train", "0": "test"}  # of train_test_split.txt
SPLIT_STEMS = ("train_", "test_")
Line = tuple[str, str]  # where it stands, what it says: `train_00001.jpg 5`


Numbers = Callable[[Collection[int]], Mapping[int, str]]


def find_rows(
    folder: Path, classes: Sequence[str], numbers: Numbers, problems: Problems
) -> tuple[Path, dict[str, int]] | None:
    """The first list in EmoLabel/, and stem of a name, which starts with its split -> place of the label in `classes`.

    Raises:
        MissingDataError: a list of several files is not whole.
        DataError: by ``problems``: a line that is no row; where it stands is named.
    """
    if official := next((folder / name for name in OFFICIAL if (folder / name).is_file()), None):
        return official, parse(official, _lines(official), classes, numbers, problems)
    for names, read in ((HALVES, _halves), (KEYED, _keyed)):
        files = [folder / name for name in names]
        there = [file for file in files if file.is_file()]
        if there and len(there) < len(files):
            missing = [str(file) for file in files if file not in there]
            raise MissingDataError(f"{there[0]} is there, but not {' and '.join(missing)}")
        if there:
            return files[0], parse(files[0], read(files, problems), classes, numbers, problems)
    return None


def parse(
    source: Path, lines: Sequence[Line], classes: Sequence[str], numbers: Numbers, problems: Problems
) -> dict[str, int]:
    """Lines of name and label, with blanks, tabs or commas between, -> rows of `find_rows`; each name once.

    A header is passed over, and so are columns before the name and after the label.
    """
    pairs = [(where, line, *_pair(line)) for where, line in lines]
    if pairs and not pairs[0][2].startswith(SPLIT_STEMS) and not any(map(str.isdigit, pairs[0][1])):
        del pairs[0]  # a header
    known = {number for _, _, _, label in pairs if (number := class_number(label)) is not None}
    ids = numbers(known) if known else {}
    rows: dict[str, int] = {}
    for where, line, stem, label in pairs:
        number = class_number(label)
        name = ids.get(number) if number is not None else class_key(label)
        if name not in classes:
            span = f"{min(ids)} to {max(ids)}" if ids else ", ".join(classes)
            problems.report(DataError(f"{where}: expected `name label` with a label from {span}, read {line!r}"))
        elif not stem.startswith(SPLIT_STEMS):
            problems.report(DataError(f"{where}: an image's name starts with train_ or test_, read {line!r}"))
        elif stem in rows:
            problems.report(DataError(f"{where}: {stem} is listed a second time"))
        else:
            rows[stem] = classes.index(name)
    if not rows:
        raise DataError(f"{source} is empty")
    return rows


def _pair(line: str) -> tuple[str, str]:
    """The stem of an image's name and the label after it; a cell of its own where a line is cut at tabs and commas."""
    marks = r"\s*[\t,;]\s*" if re.search(r"[\t,;]", line) else r"\s+"
    cells = [cell for cell in re.split(marks, line) if cell]
    stems = [Path(cell).stem.removesuffix("_aligned") for cell in cells]
    place = next((place for place, stem in enumerate(stems) if stem.startswith(SPLIT_STEMS)), 0)
    return stems[place] if stems else "", cells[place + 1] if place + 1 < len(cells) else ""


def _lines(source: Path) -> list[Line]:
    numbered = enumerate(read_text(source).splitlines(), start=1)
    return [(f"{source}, line {number}", line.strip()) for number, line in numbered if line.strip()]


def _halves(files: Sequence[Path], problems: Problems) -> list[Line]:
    """The same rows in two files."""
    return [line for file in files for line in _lines(file)]


def _keyed(files: Sequence[Path], problems: Problems) -> list[Line]:
    """`1 train_00001.jpg`, `1 5`, `1 1`: joined by the number and in its order, whatever the order in each file."""
    names, labels, splits = (_by_number(source, problems) for source in files)
    lines = []
    for number, (where, name) in sorted(names.items(), key=lambda item: (len(item[0]), item[0])):
        if number not in labels or number not in splits:
            problems.report(DataError(f"{where}: number {number} has no row in {files[1].name} or in {files[2].name}"))
            continue
        (_, label), (where_split, flag) = labels[number], splits[number]
        if SPLITS.get(flag) != name.split("_")[0]:
            problems.report(DataError(f"{where_split}: {flag} (1 = train, 0 = test) does not fit {name}"))
            continue
        lines.append((where, f"{name} {label}"))
    return lines


def _by_number(source: Path, problems: Problems) -> dict[str, Line]:
    lines: dict[str, Line] = {}
    for where, line in _lines(source):
        number, _, value = line.partition(" ")
        if number in lines:
            problems.report(DataError(f"{where}: number {number} stands there a second time"))
            continue
        lines[number] = where, value.strip()
    return lines
