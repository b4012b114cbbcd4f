"""The shipped YAML files: `datasets/NAME.yaml` and `trainers/METHOD/NAME.yaml`, in CoOp's format."""

from pathlib import Path

ROOT = Path(__file__).parent
