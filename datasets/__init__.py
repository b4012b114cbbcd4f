"""Facial-expression data sets, one a file. Importing this package fills `DATASETS`.

A new data set is a new file here, with a class under `@register_dataset`, and a YAML file in configs/datasets/.
"""

from importlib import import_module
from pkgutil import iter_modules

from mpafer.common.options import find
from mpafer.datasets.fer_dataset import DATASETS, FERDataset

for _module in iter_modules(__path__):
    if not _module.name.startswith("_"):  # __main__ is the command
        import_module(f"{__name__}.{_module.name}")


def find_dataset(name: str) -> type[FERDataset]:
    """A data set's class by its name.

    Raises:
        OptionError: there is none of this name; the closest one is named.
    """
    return find("data set", name, DATASETS)


__all__ = ["DATASETS", "find_dataset"]
