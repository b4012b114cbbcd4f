"""The shipped YAML files: `datasets/NAME.yaml`, `trainers/METHOD/NAME.yaml` in CoOp's format; `ablations/NAME.yaml`.

A file may start from others: `_BASE_: path`, or a list of paths, relative to it. `trainers/_base_` holds what recipes
share. `dassl/` holds flat copies for a checkout on Dassl, which does not know that key: `python tools/flat_configs.py`.
"""

from pathlib import Path

ROOT = Path(__file__).parent
