"""Result folders keep their names byte for byte: 40 commands and where their runs went, recorded at version 0.1.0."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from mpafer.ablation import print_plan

RECORDED = [
    json.loads(line) for line in Path(__file__).with_name("golden_folders.jsonl").read_text("utf-8").splitlines()
]

# Stands in for `python`: a run, or a test on another data set, leaves an empty result; an ablation's plan lies ready.
STUB = """#!/usr/bin/env bash
case "$*" in
    *" --plan "*) cat "$HERE/plan"; exit ;;
    "-m mpafer.report"*|"-m mpafer.compare"*|"-m mpafer.ablation"*|*" --table "*) exit ;;
esac
while [[ $# -gt 0 ]]; do
    case $1 in --output-dir|--out) mkdir -p "$2"; echo "$2" >> "$HERE/folders"; touch "$2/results.json" ;; esac
    shift
done
"""


def test_there_are_forty() -> None:
    assert len(RECORDED) == 40 and sum(len(entry["folders"]) for entry in RECORDED) > 100


@pytest.mark.parametrize("entry", RECORDED, ids=[" ".join(entry["arguments"])[:60] for entry in RECORDED])
def test_folders_are_those_of_before(
    entry: dict, repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stub, arguments = tmp_path / "stub", entry["arguments"]
    stub.write_text(STUB)
    stub.chmod(0o755)
    if entry["script"].endswith("ablation.sh"):
        name, dataset, cfg, _, *pairs = [*arguments, *["tiny", "-1"][len(arguments) - 2 :]]
        split = ["TEST.SPLIT", "val"] if entry["environment"].get("SPLIT") == "val" else []
        print_plan(name, dataset, cfg, *pairs, *split)
        (tmp_path / "plan").write_text(capsys.readouterr().out)
    clean = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    done = subprocess.run(
        ["bash", repo / entry["script"], *arguments], cwd=tmp_path, capture_output=True, text=True,
        env=clean | {"PYTHON": str(stub), "HERE": str(tmp_path)} | entry["environment"],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(set((tmp_path / "folders").read_text("utf-8").splitlines())) == entry["folders"]
