"""The benchmarks' command: what it makes of measured times. The times themselves are no test's business."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from support.commands import run_command


@pytest.fixture
def folder(repo: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The benchmarks' folder, whose modules are top-level ones here, as where it is started."""
    folder = repo / "benchmarks"
    monkeypatch.syspath_prepend(folder)
    yield folder
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_a_row_compares_in_turns_and_knows_its_target(folder: Path) -> None:
    common: Any = import_module("common")
    row = common.rate_row("step", [1.0, 2.0, 4.0], [3.0, 4.0, 4.0], images=8, least=1.5)
    assert row.ratios == [3, 2, 1] and row.measured == 2 and row.met is True
    assert row.cells() == ["step", ">= 1.5x", "4", "2", "images/s", "2.00 (1.00 - 3.00)", "yes"]
    alone = common.rate_row("step", [1.0, 2.0, 4.0], [], images=8, least=1.5)
    assert alone.cells() == ["step", ">= 1.5x", "4", "", "images/s", "", ""] and alone.met is None
    assert common.Row("memory", "MiB", ours=3.0, most=2.0).record()["met"] is False


def test_rounds_take_turns_and_the_first_does_not_count(folder: Path) -> None:
    common: Any = import_module("common")
    calls: list[str] = []
    both = {name: lambda name=name: calls.append(name) for name in ("ours", "theirs")}
    seconds = common.in_turns(both, 2, common.Settings().device)
    assert calls == ["ours", "theirs"] * 3 and [len(times) for times in seconds.values()] == [2, 2]


def test_the_command_shows_and_writes_every_row(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    common: Any = import_module("common")
    asked = []

    def measure(settings: Any) -> list[Any]:
        asked.append(settings)
        return [common.Row("product", "GFLOP/s", ours=12.5, most=20.0), common.Row("copy", note="no GPU here")]

    monkeypatch.setattr(import_module("floor"), "measure", measure)
    options = ("--rows", "floor", "--size", "toy", "--batch", "2", "--repeats", "1", "--json", f"{tmp_path}/rows.json")
    printed = run_command(str(folder / "run.py"), *options)
    assert "product" in printed and "12.5" in printed and "copy: no GPU here" in printed
    assert [(settings.size, settings.batch, settings.repeats) for settings in asked] == [("toy", 2, 1)]
    found = json.loads((tmp_path / "rows.json").read_text())
    assert found["machine"]["size"] == "toy" and [row["met"] for row in found["rows"]] == [True, None]


def test_every_row_has_its_function(folder: Path) -> None:
    command = runpy.run_path(str(folder / "run.py"))
    assert all(callable(command["row_function"](name)) for name in command["ROWS"])


@pytest.mark.slow
def test_benchmarks_give_figures(folder: Path, tmp_path: Path) -> None:
    """A toy size: rows have figures, and those that need what is not here say so."""
    out = tmp_path / "rows.json"
    rows = ["floor", "step", "evaluation", "predictions", "memory", "gpu"]
    command = [sys.executable, str(folder / "run.py"), "--rows", *rows, "--json", str(out)]
    command += ["--size", "toy", "--batch", "2", "--repeats", "1", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = {row["name"]: row for row in json.loads(out.read_text())["rows"]}
    for row in found.values():
        assert (row["ours"] or 0) > 0 or "no GPU here" in row["note"], row
        assert row["name"] in done.stdout
    assert found["encode_image bf16 / clip.encode_image fp32"]["ratios"]
    assert found["MPA-FER step fp32 / MaPLe fp32"]["note"].startswith("no --upstream DIR")
    assert found["MPA-FER step fp32 / MaPLe fp32"]["met"] is None
