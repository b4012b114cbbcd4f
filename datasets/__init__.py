"""Facial-expression data sets, one a file. Importing this package fills `DATASETS`.

A new data set is a new file here, with a class under `@register_dataset`, and a YAML file in configs/datasets/; or a
file elsewhere, see `mpafer.common.extensions`.
"""

from mpafer.common.extensions import import_all
from mpafer.common.options import find
from mpafer.datasets.fer_dataset import DATASETS, FERDataset

import_all(__name__, __path__)


def find_dataset(name: str) -> type[FERDataset]:
    """A data set's class by its name.

    Raises:
        OptionError: there is none of this name; the closest one is named.
    """
    return find("data set", name, DATASETS)


__all__ = ["DATASETS", "find_dataset"]
