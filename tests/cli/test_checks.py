"""The controls of `make check`: what it must not let pass, put into a copy of the package."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tools import load_tool

pytestmark = pytest.mark.slow
staged = load_tool("staged")

# Each line crosses a border between the package and a folder that lies beside it, and the marked ones wrongly.
TYPES = {
    "mpafer/engine/planted.py": """
        from mpafer.datasets import find_dataset
        from mpafer.trainers import METHODS

        right: str = find_dataset("RAFDB").__name__
        wrong: int = find_dataset("RAFDB")  # here
        method: float = METHODS["CoOp"]  # here
        """,
    "mpafer/datasets/planted.py": """
        from mpafer.common.config import read_file

        right: dict = read_file("a.yaml")
        wrong: int = read_file("a.yaml")  # here
        call = read_file(3)  # here
        """,
    "mpafer/trainers/planted.py": """
        from mpafer.configs import ROOT
        from mpafer.no_such_room import anything  # here

        right: str = ROOT.name
        wrong: str = ROOT  # here
        """,
}
IMPORTS = {
    "mpafer/common/planted.py": "import mpafer.clip",
    "mpafer/inputs/planted.py": "import dassl.engine",
    "mpafer/datasets/planted.py": "from mpafer.doctor import checks",
    "mpafer/clip/layers_planted.py": "import mpafer.clip.planted",
    "mpafer/clip/planted.py": "import mpafer.clip.layers_planted",
}


def plant(target: Path, files: dict[str, str]) -> None:
    staged.stage(target)
    for name, text in files.items():
        (target / name).write_text(text, "utf-8")


def test_mypy_sees_both_sides_of_every_border(tmp_path):
    plant(tmp_path, {name: text.replace("\n        ", "\n") for name, text in TYPES.items()})
    status, output = staged.run(["mypy"], tmp_path)
    assert status == 1
    found = {line.split(": error:")[0] for line in output.splitlines() if "planted.py" in line and ": error:" in line}
    expected = {
        f"{name.removeprefix('mpafer/') if 'engine' not in name else name}:{number}"
        for name, text in TYPES.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if "# here" in line
    }
    assert found == expected, output


def test_the_walls_are_seen(tmp_path):
    plant(tmp_path, IMPORTS)
    status, output = staged.run(["lint-imports"], tmp_path)
    assert status == 1
    for importer, imported in (
        ("common.planted", "mpafer.clip"),
        ("inputs.planted", "dassl"),
        ("datasets.planted", "mpafer.doctor.checks"),
    ):
        assert f"mpafer.{importer} -> {imported} (l.1)" in output, output
    assert "No cycles are allowed in mpafer.clip" in output
