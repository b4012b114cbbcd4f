"""Facial-expression data sets, one a file. Importing this package enters them in the engine's registry.

A new data set is a new file here, with a class under `@register`, and a YAML file in configs/datasets/.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    if not _module.name.startswith("_"):  # __main__ is the command
        import_module(f"{__name__}.{_module.name}")
