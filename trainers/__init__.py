"""Methods, one a file. Importing this package fills `METHODS`.

A new method is a new file here, with a trainer class under `@register_method`, and its YAML files in
configs/trainers/<METHOD>/.
"""

from importlib import import_module
from pkgutil import iter_modules

from mpafer.trainers.base import METHODS

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["METHODS"]
