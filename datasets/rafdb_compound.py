"""RAF-DB's compound expressions: eleven classes, each of two basic ones.

Li and Deng, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Unconstrained Facial Expression
Recognition", TIP 2019. The official layout, which is that of the basic part.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from mpafer.common.errors import DataError, OptionError
from mpafer.datasets.fer_dataset import FERDataset, register_dataset
from mpafer.datasets.items import Splits
from mpafer.datasets.numbers import NumberedOptions
from mpafer.datasets.rafdb import RAFDB, read_official
from mpafer.prompting.expressions import COMPOUND, plain_name

ORDER = "rafdb_compound"


@register_dataset
class RAFDBCompound(FERDataset):
    Options = NumberedOptions
    options: NumberedOptions
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
        return read_official(folder, self.classes, self.numbers, self.problems)

    def numbers(self, present: Collection[int]) -> Mapping[int, str]:
        """What the ids of the list mean.

        Raises:
            OptionError: DATASET.CLASS_IDS is an order of the basic expressions.
        """
        chosen = self.options.class_ids
        if chosen not in ("", ORDER) and "=" not in chosen:
            raise OptionError(
                f"DATASET.CLASS_IDS is {chosen!r}, but the classes here are compound: take {ORDER}, or name them, "
                f"1={self.classes[0]},2={self.classes[1]},..."
            )
        return self.number_classes(present, ORDER, name_class=compound)


def compound(name: str) -> str:
    """A compound expression's name, whatever separates its words.

    Raises:
        DataError: it is none.
    """
    if plain_name(name) not in COMPOUND:
        raise DataError(f"unknown compound expression {name!r}; known: {', '.join(COMPOUND)}")
    return plain_name(name)
