"""Result folders keep their names: 40 commands and the folders that they had, recorded once (golden_folders.jsonl)."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from support.commands import invoke

RECORDED = [json.loads(line) for line in Path(__file__).with_name("golden_folders.jsonl").read_text().splitlines()]


def verb(script: Path) -> list[str]:
    """The words that a script puts before its arguments."""
    (words,) = re.findall(r'lib\.sh" (.*) "\$@"$', script.read_text(), re.M)
    return words.split()


@pytest.mark.parametrize("number", range(len(RECORDED)))
def test_folders_are_the_recorded_ones(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    command = RECORDED[number]
    monkeypatch.chdir(tmp_path)
    before, behind = command["arguments"], []
    if "--" in before:  # what stands behind it is the test's
        cut = before.index("--")
        before, behind = before[:cut], before[cut:]
    words = [*verb(repo / command["script"]), *before, "--plan", *behind]
    printed = invoke(*words, **command["environment"])
    planned = [shlex.split(line, comments=True) for line in printed.splitlines()]
    found = {line[line.index(key) + 1] for line in planned for key in ("--output-dir", "--out") if key in line}
    assert sorted(found) == command["folders"], command
    assert not list(tmp_path.iterdir()), "a plan leaves nothing"


def test_all_were_recorded() -> None:
    assert len(RECORDED) == 40
