"""The shell scripts are verbs of the command; the report that runs end with."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
from pathlib import Path
from statistics import stdev

import pytest
from support.commands import invoke

from mpafer.trainers import METHODS

SCRIPTS = {
    "compare.sh": "compare", "demo.sh": "demo", "run.sh": "run", "mpafer/ablation.sh": "ablate",
    "mpafer/cross_dataset.sh": "cross",
}  # fmt: skip
REPO = Path(__file__).parent.parent.parent
MAIN = sorted(path.parent.name for path in (REPO / "scripts").glob("*/main.sh"))


def call(script: str, *arguments: str, cwd: Path, **environment: str) -> str:
    """What a script would start, by an interpreter that shows its arguments and a variable."""
    stub = cwd / "python-stub"
    stub.write_text('#!/bin/sh\n[ "$1" = -c ] && exit 0\nprintf "%s|" "$@"; printf "DATA=%s\\n" "$DATA"\n')
    stub.chmod(0o755)
    done = subprocess.run(
        ["bash", REPO / "scripts" / script, *arguments], cwd=cwd, text=True, capture_output=True, check=True,
        env=os.environ | {"PYTHON": str(stub)} | environment,
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_a_verb_with_its_words_and_variables(tmp_path: Path, script: str) -> None:
    printed = call(script, "rafdb", "two words", "-1", "--", "*", cwd=tmp_path, DATA="/some where")
    assert printed == f"-m|mpafer|{SCRIPTS[script]}|rafdb|two words|-1|--|*|DATA=/some where\n"


def test_without_the_package_a_script_says_how_to_install_it() -> None:
    done = subprocess.run(
        ["bash", REPO / "scripts/compare.sh"], text=True, capture_output=True, env=os.environ | {"PYTHON": "false"}
    )
    assert done.returncode == 1 and f"false -m pip install -e {REPO}" in done.stderr


@pytest.mark.parametrize("name", MAIN)
def test_each_method_has_its_script(tmp_path: Path, name: str) -> None:
    command = call(f"{name}/main.sh", "rafdb", "--help", cwd=tmp_path).split("|")
    assert command[:3] == ["-m", "mpafer", "run"] and command[3] in METHODS and command[4:6] == ["rafdb", "--help"]
    assert os.access(REPO / "scripts" / name / "main.sh", os.X_OK)


def test_the_scripts_are_all_of_them_and_two_lines_each(tmp_path: Path) -> None:
    found = {str(path.relative_to(REPO / "scripts")) for path in (REPO / "scripts").rglob("*.sh")}
    assert found == {*SCRIPTS, *(f"{name}/main.sh" for name in MAIN), "lib.sh"}
    named = {call(f"{name}/main.sh", cwd=tmp_path).split("|")[3] for name in MAIN}
    assert named == METHODS.keys()
    for name in found - {"lib.sh"}:
        lines = (REPO / "scripts" / name).read_text().splitlines()
        assert [line[0] for line in lines] == ["#", "#", "s"], name


# --- report


def content(**metrics: float) -> str:
    """A results.json with these figures."""
    known = {"trainer": "MPAFER", "dataset": "RAFDB", "split": "test", "seed": 1, "epochs": 1, "device": "cpu"}
    known |= {"engine": {}, "config": {}, "classnames": ["fear"], "learnable_values": 0, "predictions": []}
    return json.dumps(known | {"metrics": metrics})


def result(folder: Path, **metrics: float) -> None:
    folder.mkdir(parents=True)
    seed = int(folder.name.removeprefix("seed") if folder.name.startswith("seed") else 1)
    (folder / "results.json").write_text(json.dumps(json.loads(content(**metrics)) | {"seed": seed}))


def test_report_groups_seeds(tmp_path):
    for seed, value in ((1, 80.0), (2, 81.0), (10, 85.0)):
        result(tmp_path / f"a/seed{seed}", accuracy=value, uar=70.0, macro_f1=71.0, ece=3.0)
    result(tmp_path / "b/seed1", accuracy=50.0, uar=40.0, macro_f1=41.0)
    result(tmp_path / "c", accuracy=10.0, uar=9.0, macro_f1=8.0, ece=7.0)
    words = [str(tmp_path), str(tmp_path / "a"), "--csv", f"{tmp_path}/t.csv", "--json", f"{tmp_path}/t.json"]
    table = invoke("report", *words)
    assert re.search(r"/a +3 +82\.00 ± 2\.65 +70\.00 ± 0\.00 +71\.00 ± 0\.00 +3\.00 ± 0\.00", table)
    assert re.search(r"/b +1 +50\.00 ± - +40\.00 ± - +41\.00 ± - +-", table)
    rows = json.loads((tmp_path / "t.json").read_text())
    assert [row["n"] for row in rows] == [3, 1, 1], "a folder met twice counts once"
    assert rows[0]["accuracy_sd"] == pytest.approx(stdev([80, 81, 85])) and rows[1]["ece"] is None
    with open(tmp_path / "t.csv", newline="") as file:
        assert [float(row["uar"]) for row in csv.DictReader(file)] == [70, 40, 9]


def test_report_of_nothing(tmp_path):
    with pytest.raises(SystemExit, match=f"no results.json under {tmp_path}"):
        invoke("report", str(tmp_path))


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_report_names_a_broken_file(tmp_path, content):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(SystemExit, match=re.escape(str(tmp_path / "results.json"))):
        invoke("report", str(tmp_path))
