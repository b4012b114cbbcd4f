"""How long ``import mpafer`` takes, and which commands import torch before they print their help."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from common import Row, Settings

REPO = Path(__file__).resolve().parent.parent
MODULES = ("ablation", "compare", "cross", "cross.table", "datasets", "plug", "predict", "report", "sketch.pretrain",
           "sketch.sheet")  # fmt: skip


def measure(settings: Settings) -> list[Row]:
    """Median seconds of a fresh interpreter, and the number of commands whose help needs torch."""
    seconds = []
    for _ in range(settings.repeats):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import mpafer"], check=True)
        seconds.append(time.perf_counter() - start)
    commands = [[str(REPO / "train.py")], *(["-m", f"mpafer.{module}"] for module in MODULES)]
    heavy = [" ".join(command) for command in commands if imports_torch(command)]
    return [
        Row("import mpafer", "s", sorted(seconds)[len(seconds) // 2], most=2.0),
        Row(f"--help that imports torch, of {len(commands)}", "", len(heavy), most=0, note=", ".join(heavy)),
    ]


def imports_torch(command: list[str]) -> bool:
    """Whether ``python COMMAND --help`` imports torch."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command, "--help"], capture_output=True, text=True, check=True
    )
    return any(line.rpartition("|")[2].strip() == "torch" for line in done.stderr.splitlines())
