"""FacialExpressions: the one set of real photographs that anybody can clone (Apache-2.0).

Rowe (muxspace) and his students, https://github.com/muxspace/facial_expressions, 2017: press photographs of the LFW
kind and stills of Indian films, labelled by students. It has no split, so this file declares one, by person.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mpafer.datasets.fer_dataset import FERDataset, register_dataset
from mpafer.datasets.items import MissingDataError, Splits, log
from mpafer.datasets.listed import REPEATED, by_split, drawn, find_files
from mpafer.datasets.tables import Row, read_table
from mpafer.prompting.expressions import canonical

TESTED = 0.3  # share of the persons whose images are the test set
# The first of 1, 2, 3 ... that gives the test set a quarter to 35 % of the images of every class: few persons have most
# of the images of disgust.
SEED = 2
# Pictures that the set has under two persons' names: the copy, which is left out -> the one that is kept.
COPIES = {
    "Eva_Amurri_0001.jpg": "Emmy_Rossum_0001.jpg",
    "Krishna_Bhadur_Mahara_0001.jpg": "Baburam_Bhattari_0001.jpg",
    "Martha_Bowen_0002.jpg": "Gabrielle_Rose_0001.jpg",
    "Raul_Ibanez_0001.jpg": "Carlos_Beltran_0001.jpg",
    "Ricky_Ray_0001.jpg": "Bart_Hendricks_0001.jpg",
}


def person_named(file: str) -> str:
    """A file's name up to its last number."""
    return re.sub(r"_\d+$", "", Path(file).stem)


SAME_PERSON = {person_named(copy): person_named(kept) for copy, kept in COPIES.items()}


def person(file: str) -> str:
    """Whom an image shows; two names that share a picture are one person."""
    name = person_named(file)
    return SAME_PERSON.get(name, name)


@register_dataset
class FacialExpressions(FERDataset):
    """Seven classes; the nine images of contempt are left out."""

    folders = ("facial_expressions", "facial-expressions", "FacialExpressions", "facial_expressions-master", "")
    published = {  # noqa: RUF012 - by the rules of this file, of commit 5fb9c13a
        "train": (248, 15, 145, 3885, 178, 172, 4592),
        "test": (119, 6, 63, 1805, 89, 80, 2270),
    }
    tree = """\
facial_expressions/ (the clone; or its contents right here)
  images/*.jpg
  data/legend.csv (user.id,image,emotion)
"""
    layouts = {"the clone": ("images", "data/legend.csv")}  # noqa: RUF012
    access = "git clone https://github.com/muxspace/facial_expressions DATA/facial_expressions (500 MB)"

    def read(self, folder: Path) -> Splits | None:
        source = folder / "data" / "legend.csv"
        if not source.is_file():
            return None
        if not (folder / "images").is_dir():
            raise MissingDataError(f"{source} is there, but not its images: expected {folder}/images/*.jpg")
        rows = [row._replace(label=canonical(row.label)) for row in read_table(source).rows]
        rows = self.settle(rows, folder / "images")
        rows = [row._replace(split="test" if drawn(person(row.file), TESTED, SEED) else "train") for row in rows]
        trained, tested = (len({person(row.file) for row in rows if row.split == part}) for part in ("train", "test"))
        log.info("%s: split by person, %s to train on, %s to test", self.name, f"{trained:,}", f"{tested:,}")
        rows = find_files(folder, rows, ["images"], source, self.problems)
        return by_split(rows, self.classes, self.problems.skipped)

    def settle(self, rows: list[Row], images: Path) -> list[Row]:
        """Each picture once, with one label; what is left out is counted."""
        labels: dict[str, set[str]] = {}
        for row in rows:
            labels.setdefault(row.file, set()).add(row.label)
        left = dict.fromkeys(COPIES.keys() & labels.keys(), "copies under another name")
        left |= {file: "with two labels" for file, given in labels.items() if len(given) > 1}
        skipped, kept = self.problems.skipped, dict[str, Row]()
        for file, reason in sorted(left.items()):
            skipped.leave_out(reason, os.path.normpath(images / file))
        for row in rows:
            if row.file in kept:
                skipped.leave_out(REPEATED, row.where)
            elif row.file not in left:
                kept[row.file] = row
        return list(kept.values())
