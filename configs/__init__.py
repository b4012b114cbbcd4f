"""The shipped YAML files: `datasets/NAME.yaml`, `trainers/METHOD/NAME.yaml` in CoOp's format; `ablations/NAME.yaml`."""

from pathlib import Path

ROOT = Path(__file__).parent
