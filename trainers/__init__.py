"""Methods, one a file. Importing this package fills `METHODS`.

A new method is a new file here, with a trainer class under `@register_method`, and its YAML files in
configs/trainers/<METHOD>/; or a file elsewhere, see `mpafer.common.extensions`.
"""

from mpafer.common.extensions import import_all
from mpafer.trainers.base import METHODS

import_all(__name__, __path__)

__all__ = ["METHODS"]
