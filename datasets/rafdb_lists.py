"""RAF-DB's lists: the official one, APViT's train.txt and test.txt, CEPrompt's three files keyed by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mpafer.common.errors import DataError
from mpafer.datasets.items import MissingDataError, Problems

OFFICIAL = ("list_patition_label.txt", "list_partition_label.txt")  # the first is the real name, the readme has both
HALVES = ("train.txt", "test.txt")
KEYED = ("images.txt", "image_class_labels.txt", "train_test_split.txt")
SPLITS = {"1": "train", "0": "test"}  # of train_test_split.txt
Line = tuple[str, str]  # where it stands, what it says: `train_00001.jpg 5`


def find_rows(folder: Path, ids: Mapping[int, str], problems: Problems) -> tuple[Path, dict[str, int]] | None:
    """The first list in EmoLabel/, and stem of the name, which starts with its split -> place of the label in `ids`.

    Raises:
        MissingDataError: a list of several files is not whole.
        DataError: by ``problems``: a line that is no row; where it stands is named.
    """
    if official := next((folder / name for name in OFFICIAL if (folder / name).is_file()), None):
        return official, parse(official, _lines(official), ids, problems)
    for names, read in ((HALVES, _halves), (KEYED, _keyed)):
        files = [folder / name for name in names]
        there = [file for file in files if file.is_file()]
        if there and len(there) < len(files):
            missing = [str(file) for file in files if file not in there]
            raise MissingDataError(f"{there[0]} is there, but not {' and '.join(missing)}")
        if there:
            return files[0], parse(files[0], read(files, problems), ids, problems)
    return None


def parse(source: Path, lines: Sequence[Line], ids: Mapping[int, str], problems: Problems) -> dict[str, int]:
    """Lines of name and label -> rows of `find_rows`; each name once."""
    rows: dict[str, int] = {}
    for where, line in lines:
        name, _, emotion = line.rpartition(" ")
        stem = Path(name.strip()).stem.removesuffix("_aligned")
        if not emotion.isdecimal() or int(emotion) not in ids:
            span = f"{min(ids)} to {max(ids)}"
            problems.report(DataError(f"{where}: expected `name label` with a label from {span}, read {line!r}"))
        elif not stem.startswith(("train_", "test_")):
            problems.report(DataError(f"{where}: an image's name starts with train_ or test_, read {line!r}"))
        elif stem in rows:
            problems.report(DataError(f"{where}: {stem} is listed a second time"))
        else:
            rows[stem] = list(ids).index(int(emotion))
    if not rows:
        raise DataError(f"{source} is empty")
    return rows


def _lines(source: Path) -> list[Line]:
    numbered = enumerate(source.read_text("utf-8-sig").splitlines(), start=1)
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
