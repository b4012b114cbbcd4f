"""Which code made a result: versions of the packages that can change a number, and our commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

_PACKAGES = (
    "mpafer",
    "torch",
    "torchvision",
    "numpy",
    "scikit-learn",
    "torchmetrics",
    "yacs",
    "openai-clip",
    "pillow",
)


def package_version(name: str) -> str:
    """The installed version of a distribution, "not installed" where it has none."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def versions() -> dict[str, str]:
    """Versions of Python, the system and the packages that can change a number."""
    system = {"python": platform.python_version(), "platform": platform.platform()}
    return system | {name: package_version(name) for name in _PACKAGES}


def commit() -> str:
    """The commit of our checkout, with "-dirty" where code differs from it or is not in it; else our version."""
    here = Path(__file__).resolve()

    def git(*command: str) -> str:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}  # not a hook's
        command = ("git", "-C", str(here.parent), *command)
        run = subprocess.run(command, capture_output=True, text=True, check=True, env=clean)
        return run.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)  # installed inside someone else's checkout: not our commit
        new = git("ls-files", "--others", "--exclude-standard", "--", ":/*.py", ":/*.yaml")  # a method not yet added
        name = git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
        return f"{name}-dirty" if new and not name.endswith("-dirty") else name
    except (OSError, subprocess.CalledProcessError):
        return f"mpafer {package_version('mpafer')}"
