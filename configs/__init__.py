"""The shipped YAML files: `datasets/NAME.yaml`, `trainers/METHOD/NAME.yaml` in CoOp's format; `ablations/NAME.yaml`.

A file may start from others: `_BASE_: path`, or a list of paths, relative to it. `trainers/_base_` holds what recipes
share, `trainers/_default_` what a method from elsewhere gets. `dassl/` holds flat copies for a checkout on Dassl, which
does not know that key: `python tools/flat_configs.py`.
"""

from pathlib import Path

ROOT = Path(__file__).parent


def shipped(folder: str) -> list[str]:
    """The YAML files of a folder of these, without their ending."""
    return sorted(path.stem for path in (ROOT / folder).glob("*.yaml"))
