"""Run a tool over the package as it is installed, with trainers/, datasets/ and configs/ inside mpafer/.

    python tools/staged.py mypy
    python tools/staged.py lint-imports

In the checkout these folders lie beside mpafer/, where no tool finds `mpafer.trainers`. The copy is build/staged, the
tool's current folder; in what it prints, paths are those of the checkout again.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).parent.parent
FOLDERS = ("trainers", "datasets", "configs")  # as in setup.py


def stage(target: Path, repo: Path = REPO) -> None:
    """Copy the package, train.py and the tools' settings into a folder; what it held of them is replaced."""
    package = target / "mpafer"
    shutil.rmtree(package, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.safetensors")
    shutil.copytree(repo / "mpafer", package, ignore=ignored)
    for folder in FOLDERS:
        shutil.copytree(repo / folder, package / folder, ignore=ignored)
    for file in ("train.py", "pyproject.toml"):
        shutil.copy2(repo / file, target)


def run(command: list[str], target: Path) -> tuple[int, str]:
    """Exit status and output of a tool that is installed beside this Python, in a staged folder."""
    program = Path(sys.executable).parent / command[0]
    done = subprocess.run(
        [program, *command[1:]], cwd=target, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done.returncode, re.sub(rf"\bmpafer/(?=({'|'.join(FOLDERS)})/)", "", done.stdout)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    stage(REPO / "build/staged")
    status, output = run(sys.argv[1:], REPO / "build/staged")
    sys.stdout.write(output)
    sys.exit(status)
