"""How long ``import mpafer`` takes, and which commands import torch before they print their help."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from common import Row, Settings

REPO = Path(__file__).resolve().parent.parent


def commands() -> list[list[str]]:
    """What follows `python` in every command of the package."""
    files = [file for folder in ("mpafer", "datasets") for file in sorted((REPO / folder).rglob("*.py"))]
    parts = [
        file.relative_to(REPO).with_suffix("").parts for file in files if '__name__ == "__main__"' in file.read_text()
    ]
    names = [".".join(part).removesuffix(".__main__") for part in parts]
    return [[str(REPO / "train.py")], *(["-m", f"mpafer.{name.removeprefix('mpafer.')}"] for name in names)]


def measure(settings: Settings) -> list[Row]:
    """Median seconds of a fresh interpreter, and the number of commands whose help needs torch."""
    seconds = []
    for _ in range(settings.repeats):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import mpafer"], check=True)
        seconds.append(time.perf_counter() - start)
    every = commands()
    heavy = [" ".join(command) for command in every if imports_torch(command)]
    return [
        Row("import mpafer", "s", sorted(seconds)[len(seconds) // 2], most=2.0),
        Row(f"--help that imports torch, of {len(every)}", "", len(heavy), most=0, note=", ".join(heavy)),
    ]


def imports_torch(command: list[str]) -> bool:
    """Whether ``python COMMAND --help`` imports torch."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command, "--help"], capture_output=True, text=True, check=True
    )
    return any(line.rpartition("|")[2].strip() == "torch" for line in done.stderr.splitlines())
