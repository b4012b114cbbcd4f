"""The runner: CoOp's flags, any method and data set by name; `mpafer train` is the same.

    python train.py --root data --seed 1 --trainer MPAFER --dataset-config-file configs/datasets/sketchfer.yaml \
        --config-file configs/trainers/MPAFER/tiny.yaml --output-dir output/first DATASET.NUM_SHOTS 16

Several processes: ``torchrun --nproc-per-node 2 train.py ...``, same arguments; the batch is divided among them.
"""

import sys
from pathlib import Path

# The repository's own `datasets`, `trainers` folders must never answer somebody's `import datasets`.
REPO = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != REPO]

try:
    from mpafer.cli.train import command
except ModuleNotFoundError as error:
    raise SystemExit(
        f"error: {error}; install it into this Python: {sys.executable} -m pip install -e {REPO}"
    ) from error
except ImportError as error:
    raise SystemExit(f"error: {error}") from error

if __name__ == "__main__":
    command(prog_name="train.py")
