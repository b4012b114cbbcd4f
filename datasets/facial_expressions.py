"""FacialExpressions: the one set of real photographs that anybody can clone (Apache-2.0).

Rowe (muxspace) and his students, https://github.com/muxspace/facial_expressions, 2017: press photographs of the LFW
kind and stills of Indian films, labelled by students. It has no split, so this file declares one, by person.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from mpafer.datasets.fer_dataset import FERDataset, register_dataset
from mpafer.datasets.items import MissingDataError, Splits, log
from mpafer.datasets.listed import by_split, drawn, find_files
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
        rows = self.settle([row._replace(label=canonical(row.label)) for row in read_table(source).rows])
        rows = [row._replace(split="test" if drawn(person(row.file), TESTED, SEED) else "train") for row in rows]
        trained, tested = (len({person(row.file) for row in rows if row.split == part}) for part in ("train", "test"))
        log.info("%s: split by person, %s to train on, %s to test", self.name, f"{trained:,}", f"{tested:,}")
        return by_split(find_files(folder, rows, ["images"], source, self.problems), self.classes)

    def settle(self, rows: list[Row]) -> list[Row]:
        """Each picture once, with one label; what is left out is said."""
        labels: dict[str, list[str]] = {}
        for row in rows:
            labels.setdefault(row.file, []).append(row.label)
        torn = sorted(file for file, given in labels.items() if len(set(given)) > 1)
        repeated = sum(len(given) > 1 for given in labels.values()) - len(torn)
        copies = sorted(COPIES.keys() & labels.keys())
        other = Counter(given[0] for given in labels.values() if given[0] not in self.classes)
        log.info(
            "%s: %s rows; %d pictures listed twice are taken once; left out: %d with two labels (%s), %d copies under "
            "another name (%s), %s",
            self.name, f"{len(rows):,}", repeated, len(torn), ", ".join(torn) or "-", len(copies),
            ", ".join(copies) or "-", ", ".join(f"{count} of {name}" for name, count in other.items()) or "no class",
        )  # fmt: skip
        kept = {row.file: row for row in rows if row.file not in torn and row.file not in copies}
        return list(kept.values())
