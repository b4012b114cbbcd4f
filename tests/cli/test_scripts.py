"""The shell scripts, with an interpreter that records its calls, and the report they end with."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import stdev

import pytest

from mpafer import report

# Stands in for `python`: notes how train.py is called and leaves a result, unless told to fail at a seed.
STUB = """#!/usr/bin/env bash
if [[ $1 == -m ]]; then exec {python} "$@"; fi
printf '%s\\n' "$(printf '%q ' "$@")" >> {calls}
while [[ $# -gt 0 ]]; do
    case $1 in --output-dir) dir=$2 ;; --seed) seed=$2 ;; esac
    shift
done
[[ ${{FAIL_AT:-}} == "$seed" ]] && exit 3
mkdir -p "$dir"
sed "s/4242/8$seed/" {template} > "$dir/results.json"
"""


def content(**metrics: float) -> str:
    """A results.json with these figures."""
    known = {"trainer": "MPAFER", "dataset": "RAFDB", "split": "test", "seed": 1, "epochs": 1, "device": "cpu"}
    known |= {"engine": {}, "config": {}, "classnames": ["fear"], "learnable_values": 0, "predictions": []}
    return json.dumps(known | {"metrics": metrics})


@pytest.fixture
def script(repo, tmp_path):
    """Run a script from a foreign folder; gives (exit status, what it printed, the calls of train.py)."""
    calls, stub = tmp_path / "calls", tmp_path / "python-stub"
    template = tmp_path / "template.json"
    template.write_text(content(accuracy=4242, uar=50.5, macro_f1=60, ece=5))
    stub.write_text(STUB.format(python=sys.executable, calls=calls, template=template))
    stub.chmod(0o755)

    def run(name: str, *arguments: str, **environment: str):
        calls.write_text("")
        done = subprocess.run(
            ["bash", repo / "scripts" / name, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHON": str(stub), **environment},
        )
        return (
            done.returncode,
            done.stdout + done.stderr,
            [line.split() for line in calls.read_text().splitlines()],
        )

    return run


def option(call: list[str], name: str) -> str:
    return call[call.index(name) + 1]


def test_main_calls_train_per_seed_as_coop_does(script, repo):
    status, printed, calls = script("mpafer/main.sh", "rafdb")
    assert status == 0, printed
    assert [option(call, "--output-dir") for call in calls] == [
        f"output/rafdb/MPAFER/vit_b16_all/seed{seed}" for seed in (1, 2, 3)
    ]
    call = calls[1]
    assert call[0] == str(repo / "train.py")
    for name, value in {
        "--root": "./data",
        "--seed": "2",
        "--trainer": "MPAFER",
        "--dataset-config-file": str(repo / "configs/datasets/rafdb.yaml"),
        "--config-file": str(repo / "configs/trainers/MPAFER/vit_b16.yaml"),
        "DATASET.NUM_SHOTS": "-1",
    }.items():
        assert option(call, name) == value
    assert Path(call[0]).parent.joinpath("configs/trainers/MPAFER/vit_b16.yaml").is_file()
    assert "82.00 ± 1.00" in printed and "50.50 ± 0.00" in printed


def test_environment_config_and_shots(script):
    environment = {"DATA": "/some/where", "OUT": "results", "SEEDS": "7", "TAG": "try"}
    status, _, (call,) = script("mpafer/main.sh", "sketchfer8", "tiny", "16", **environment)
    assert status == 0
    assert option(call, "--output-dir") == "results/sketchfer8/MPAFER/tiny_16shots_try/seed7"
    assert option(call, "--root") == "/some/where" and option(call, "DATASET.NUM_SHOTS") == "16"


def test_drawn_faces_default_to_the_tiny_backbone(script):
    for name in ("sketchfer", "sketchfer8"):
        _, _, calls = script("mpafer/main.sh", name)
        assert "/tiny_all/" in option(calls[0], "--output-dir")
        assert option(calls[0], "--config-file").endswith("MPAFER/tiny.yaml")


def test_extra_options_reach_train_and_name_the_folder(script):
    folders = set()
    for extra in (
        [],
        ["TRAINER.MPAFER.N_CTX", "4"],
        ["TRAINER.MPAFER.N_CTX", "4", "OPTIM.LR", "0.01"],
        ["DATASET.DESCRIPTIONS", "a/b.yaml"],
        ["DATASET.DESCRIPTIONS", "a-b.yaml"],
        ["DATASET.DESCRIPTIONS", "x" * 300 + "1"],
        ["DATASET.DESCRIPTIONS", "x" * 300 + "2"],
    ):
        status, printed, (call,) = script("mpafer/main.sh", "rafdb", "vit_b16", "-1", *extra, SEEDS="1")
        assert status == 0, printed
        assert call[len(call) - len(extra) :] == extra
        folders.add(option(call, "--output-dir"))
    assert len(folders) == 7, "each set of options has a folder of its own"
    assert "output/rafdb/MPAFER/vit_b16_all_N_CTX=4_OPTIM.LR=0.01/seed1" in folders
    assert all(len(part) < 255 for folder in folders for part in folder.split("/"))


def test_finished_runs_are_skipped_and_half_finished_resumed(script, tmp_path):
    seeds = tmp_path / "output/rafdb/MPAFER/vit_b16_all"
    (seeds / "seed1").mkdir(parents=True)
    (seeds / "seed1/results.json").write_text(content(accuracy=90))
    (seeds / "seed2/prompts").mkdir(parents=True)
    (seeds / "seed2/prompts/model.pth.tar-3").touch()  # what a killed run leaves
    (seeds / "seed3").mkdir()  # a run that failed before its first checkpoint
    _, printed, calls = script("mpafer/main.sh", "rafdb")
    assert [option(call, "--seed") for call in calls] == ["2", "3"]
    assert (
        re.search("skipped.*seed1", printed)
        and re.search("resumed.*seed2", printed)
        and re.search("started.*seed3", printed)
    )


def test_the_first_failure_stops(script):
    status, printed, calls = script("mpafer/main.sh", "rafdb", FAIL_AT="2")
    assert status == 3 and [option(call, "--seed") for call in calls] == ["1", "2"]
    assert "±" not in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], r"usage: bash scripts/mpafer/main\.sh DATASET.*rafdb rafdb_compound sketchfer"),
        (["imagenet"], "unknown data set 'imagenet'; known: .*rafdb rafdb_compound sketchfer"),
        (["rafdb", "rn50"], "unknown config 'rn50' of MPAFER; known: .*tiny.*vit_b16"),
        (["rafdb", "vit_b16", "many"], "SHOTS.*not 'many'"),
        (["rafdb", "vit_b16", "0"], "SHOTS.*not '0'"),
        (["rafdb", "vit_b16", "1", "OPTIM.LR"], "KEY VALUE pairs; 'OPTIM.LR' is left over"),
    ],
)
def test_wrong_calls_are_explained(script, arguments, message):
    status, printed, calls = script("mpafer/main.sh", *arguments)
    assert status == 2 and not calls
    assert re.search(message, printed, re.DOTALL), printed


def test_demo_runs_three_methods_into_one_table(script):
    status, printed, calls = script("demo.sh")
    assert status == 0, printed
    assert [(option(call, "--trainer"), Path(option(call, "--config-file")).stem) for call in calls] == [
        ("ZeroshotCLIP", "tiny"),
        ("CoOp", "tiny"),
        ("MPAFER", "tiny"),
    ]
    assert all(Path(option(call, "--config-file")).is_file() for call in calls)
    assert printed.count("81.00") == 3 and "output/demo" in printed.splitlines()[-1]
    assert len([line for line in printed.splitlines() if "WAR" in line]) == 1, "one table"


# --- report ---------------------------------------------------------------------------------------


def result(folder: Path, **metrics: float) -> None:
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(content(**metrics))


def test_report_groups_seeds(tmp_path, capsys):
    for seed, value in ((1, 80.0), (2, 81.0), (10, 85.0)):
        result(tmp_path / f"a/seed{seed}", accuracy=value, uar=70.0, macro_f1=71.0, ece=3.0)
    result(tmp_path / "b/seed1", accuracy=50.0, uar=40.0, macro_f1=41.0)
    result(tmp_path / "c", accuracy=10.0, uar=9.0, macro_f1=8.0, ece=7.0)
    report.main([str(tmp_path), str(tmp_path / "a"), "--csv", f"{tmp_path}/t.csv", "--json", f"{tmp_path}/t.json"])
    table = capsys.readouterr().out
    assert re.search(r"/a +3 +82\.00 ± 2\.65 +70\.00 ± 0\.00 +71\.00 ± 0\.00 +3\.00 ± 0\.00", table)
    assert re.search(r"/b +1 +50\.00 ± - +40\.00 ± - +41\.00 ± - +-", table)
    rows = json.loads((tmp_path / "t.json").read_text())
    assert [row["n"] for row in rows] == [3, 1, 1], "a folder met twice counts once"
    assert rows[0]["accuracy_sd"] == pytest.approx(stdev([80, 81, 85])) and rows[1]["ece"] is None
    with open(tmp_path / "t.csv", newline="") as file:
        assert [float(row["uar"]) for row in csv.DictReader(file)] == [70, 40, 9]


def test_report_of_nothing(tmp_path):
    with pytest.raises(SystemExit, match=f"no results.json under {tmp_path}"):
        report.main([str(tmp_path)])


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_report_names_a_broken_file(tmp_path, content):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(SystemExit, match=re.escape(str(tmp_path / "results.json"))):
        report.main([str(tmp_path)])
