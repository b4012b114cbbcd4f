"""Result folders keep their names: 40 commands and the folders that they had, recorded once (golden_folders.jsonl)."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from support.commands import run_command

# Stands in for `python`: notes the folder of a run or of a test on another data set, and leaves a result there. A plan
# that is asked for lies there already, if the words are those that it was made of.
STUB = """#!/usr/bin/env bash
if [[ $2 == mpafer.ablation && $4 == --plan ]]; then
    [[ ${*:3} == "$(cat asked)" ]] && exec cat plan
    exit 9
fi
for word in "$@"; do
    case $last in --output-dir | --out) dir=$word ;; esac
    last=$word
done
[[ $dir == */seed* ]] || exit 0 # a table's
mkdir -p "$dir"
touch "$dir/results.json"
echo "$dir" >> calls
"""


def leave_plan(place: Path, command: dict[str, Any]) -> None:
    """What ``python -m mpafer.ablation`` would say to the script, asked in this process: a new one imports torch."""
    name, dataset, *rest = command["arguments"]
    val = ["TEST.SPLIT", "val"] if command["environment"].get("SPLIT") == "val" else []
    asked = [name, "--plan", dataset, *(rest[:1] or ["tiny"]), *rest[2:], *val]
    (place / "asked").write_text(" ".join(asked))
    (place / "plan").write_text(run_command("mpafer.ablation", *asked))


def folders(script: Path, place: Path, command: dict[str, Any]) -> list[str]:
    """Of the runs that a script starts, from a folder of its own with the stub."""
    few = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG")}
    done = subprocess.run(
        ["bash", script, *command["arguments"]],
        cwd=place,
        env=few | {"PYTHON": str(place.parent / "stub")} | command["environment"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return sorted(set((place / "calls").read_text().splitlines()))


def test_folders_are_the_recorded_ones(repo: Path, tmp_path: Path) -> None:
    recorded = [json.loads(line) for line in Path(__file__).with_name("golden_folders.jsonl").read_text().splitlines()]
    (tmp_path / "stub").write_text(STUB)
    (tmp_path / "stub").chmod(0o755)
    places = [tmp_path / str(number) for number in range(len(recorded))]
    for place, command in zip(places, recorded, strict=True):
        place.mkdir()
        if command["script"].endswith("ablation.sh"):
            leave_plan(place, command)
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(folders, [repo / command["script"] for command in recorded], places, recorded))
    assert len(recorded) == 40
    for command, names in zip(recorded, found, strict=True):
        assert names == command["folders"], command
