"""RAF-DB's compound expressions: eleven classes, each of two basic ones.

Li and Deng, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Unconstrained Facial Expression
Recognition", TIP 2019. The official layout, which is that of the basic part.
"""

from __future__ import annotations

from pathlib import Path

from mpafer.datasets.fer_dataset import FERDataset, register_dataset
from mpafer.datasets.items import Splits
from mpafer.datasets.labels import COMPOUND_IDS
from mpafer.datasets.rafdb import RAFDB, read_official
from mpafer.prompting.expressions import COMPOUND


@register_dataset
class RAFDBCompound(FERDataset):
    folders = ("RAF-DB/compound", "RAF/compound", "RAFDB/compound", "rafdb/compound", "raf-db/compound", "compound")
    classes = tuple(COMPOUND)
    published = {"train": 3162, "test": 792}  # noqa: RUF012 - per class nothing is confirmed
    tree = """\
RAF-DB/ (or RAF/, rafdb/)
  compound/
    EmoLabel/list_patition_label.txt (ids 1 to 11)
    Image/aligned/*_aligned.jpg, named as in the list (or Image/original/ with Annotation/boundingbox/)
"""
    layouts = {"the official layout": ("EmoLabel/list_patition_label.txt", "Image/aligned")}  # noqa: RUF012
    access = RAFDB.access

    def read(self, folder: Path) -> Splits | None:
        return read_official(folder, self.classes, lambda _: COMPOUND_IDS, self.problems)
