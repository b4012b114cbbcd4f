"""The verbs that start runs: what they ask for, skip, resume and refuse, and the tables at the end.

Instead of training, a run leaves a copy of a result; tests of runs on other data sets are real.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.commands import invoke
from support.results import write_run
from support.runs import make_world, results, train_in_process

from mpafer.configs import ROOT
from mpafer.results.plans import read_plans
from mpafer.runs import execute
from mpafer.runs.cross import CrossTest
from mpafer.runs.local import Failure
from mpafer.runs.plan import Job
from mpafer.runs.task import distinct
from mpafer.trainers import METHODS

LABELS = np.arange(300) % 3


class Runner:
    """In the place of `run_tasks`: notes the runs, and leaves results with the options they were given."""

    def __init__(self) -> None:
        self.started: list[Job] = []
        self.fails: Callable[[Job], bool] = lambda job: False
        self.at_once = 0

    def __call__(self, tasks: Sequence[Any], at_once: int, live: bool) -> list[Failure]:
        self.at_once, failures = at_once, []
        for number, task in enumerate(distinct(tasks), start=1):
            print(f"[{number}] {task.name} {task.state}")
            if task.finished:
                continue
            if isinstance(task, CrossTest):
                task.run()
                continue
            self.started.append(task)
            if self.fails(task):
                failures.append(Failure(task.name, task.folder / "console.txt", "error: the loss is NaN"))
            else:
                leave(task)
        return failures

    def words(self) -> list[str]:
        return [f"{job.method} {job.shots} {job.seed}" for job in self.started]


def leave(job: Job) -> None:
    """A result of a run, with the config of its command line; seeds and options err a little differently."""
    from mpafer.runs.train import parse_args, setup_cfg

    config = setup_cfg(parse_args(job.arguments))
    named = LABELS.copy()
    named[: 10 + job.seed + len(job.fingerprint.strip("0123456789"))] += 1
    write_run(
        job.folder, trainer=job.method, seed=job.seed, dataset=config.DATASET.NAME, split=config.TEST.SPLIT,
        config=yaml.safe_load(config.dump()), learnable_values=640 if METHODS[job.method].learns else 0,
        scores=5.0 * np.eye(3)[named % 3], labels=LABELS, classnames=["surprise", "fear", "anger"],
        images=[f"test/{i:04d}.jpg" for i in range(len(LABELS))],
    )  # fmt: skip


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runner:
    runner = Runner()
    monkeypatch.setattr(execute, "run_tasks", runner)
    monkeypatch.chdir(tmp_path)
    return runner


def option(job: Job, name: str) -> str:
    return job.arguments[job.arguments.index(name) + 1]


# --- run


def test_run_calls_train_per_seed_as_coop_does(runner: Runner) -> None:
    printed = invoke("run", "MPAFER", "rafdb")
    assert [option(job, "--output-dir") for job in runner.started] == [
        f"output/rafdb/MPAFER/vit_b16_all/seed{seed}" for seed in (1, 2, 3)
    ]
    for name, value in {
        "--root": "./data",
        "--seed": "2",
        "--trainer": "MPAFER",
        "--dataset-config-file": str(ROOT / "datasets/rafdb.yaml"),
        "--config-file": str(ROOT / "trainers/MPAFER/vit_b16.yaml"),
        "DATASET.NUM_SHOTS": "-1",
    }.items():
        assert option(runner.started[1], name) == value
    assert re.search(r"vit_b16_all +3 +\d+\.\d\d ± \d\.\d\d", printed)


def test_variables_and_options_say_the_same(runner: Runner) -> None:
    variables = {"DATA": "/some/where", "OUT": "results", "SEEDS": "7", "TAG": "try", "JOBS": "3"}
    invoke("run", "MPAFER", "sketchfer8", "tiny", "16", **variables)
    options = [word for key, value in variables.items() for word in (f"--{key.lower()}", value)]
    by_variables = runner.started.pop()
    assert runner.at_once == 3 and by_variables.folder == Path("results/sketchfer8/MPAFER/tiny_16shots_try/seed7")
    leftover = by_variables.folder / "results.json"
    leftover.unlink()
    invoke("run", "MPAFER", *options, "sketchfer8", "tiny", "16")
    assert runner.started.pop().arguments == by_variables.arguments
    leftover.unlink()
    invoke("run", "MPAFER", "sketchfer8", "tiny", "16", *options)
    assert runner.started.pop().arguments == by_variables.arguments, "wherever they stand"


def test_extra_options_reach_train_and_name_the_folder(runner: Runner) -> None:
    folders = set()
    for extra in (
        [],
        ["TRAINER.MPAFER.N_CTX", "4"],
        ["TRAINER.MPAFER.N_CTX", "4", "OPTIM.LR", "0.01"],
        ["OPTIM.WARMUP_EPOCH", "-1"],
        ["DATASET.DESCRIPTIONS", "a/b.yaml"],
        ["DATASET.DESCRIPTIONS", "a-b.yaml"],
        ["DATASET.DESCRIPTIONS", "x" * 300 + "1"],
        ["DATASET.DESCRIPTIONS", "x" * 300 + "2"],
    ):
        invoke("run", "MPAFER", "rafdb", "vit_b16", "-1", *extra, SEEDS="1")
        arguments = runner.started.pop().arguments
        assert arguments[len(arguments) - len(extra) :] == extra
        folders.add(arguments[arguments.index("--output-dir") + 1])
    assert len(folders) == 8, "each set of options has a folder of its own"
    assert "output/rafdb/MPAFER/vit_b16_all_N_CTX=4_OPTIM.LR=0.01/seed1" in folders
    assert all(len(part) < 255 for folder in folders for part in folder.split("/"))


def test_finished_runs_are_skipped_and_half_finished_resumed(runner: Runner) -> None:
    invoke("run", "MPAFER", "rafdb", SEEDS="1")
    seeds = Path("output/rafdb/MPAFER/vit_b16_all")
    (seeds / "seed2/prompts").mkdir(parents=True)
    (seeds / "seed2/prompts/model.pth.tar-3").touch()  # what a killed run leaves
    (seeds / "seed3").mkdir()  # a run that failed before its first checkpoint
    printed = invoke("run", "MPAFER", "rafdb")
    assert runner.words() == ["MPAFER -1 1", "MPAFER -1 2", "MPAFER -1 3"]
    for seed, state in ((1, "finished already, skipped"), (2, "resumed"), (3, "started")):
        assert f"vit_b16_all seed{seed} {state}" in printed


def test_a_failure_is_named_and_stops_no_other_seed(runner: Runner) -> None:
    runner.fails = lambda job: job.seed == 2
    with pytest.raises(SystemExit) as failed:
        invoke("run", "CoOp", "rafdb")
    assert runner.words() == ["CoOp -1 1", "CoOp -1 2", "CoOp -1 3"]
    assert re.search(r"vit_b16_all +2 +", str(failed.value)), "the others' table"
    assert "vit_b16_all seed2: output/rafdb/CoOp/vit_b16_all/seed2/console.txt: error: the loss is NaN" in str(
        failed.value
    )


def test_nothing_learned_is_run_once(runner: Runner) -> None:
    invoke("run", "ZeroshotCLIP", "rafdb", SEEDS="4 5")
    assert runner.words() == ["ZeroshotCLIP -1 4"]


def test_demo_runs_three_methods_into_one_table(runner: Runner) -> None:
    printed = invoke("demo")
    assert [(job.method, job.cfg, str(job.group)) for job in runner.started] == [
        (method, "tiny", f"output/demo/sketchfer/{method}/tiny_all") for method in ("ZeroshotCLIP", "CoOp", "MPAFER")
    ]
    assert printed.count("WAR") == 1 and "output/demo" in printed.splitlines()[-1]
    invoke("demo", OUT="elsewhere", SEEDS="3")
    assert str(runner.started[-1].folder) == "elsewhere/sketchfer/MPAFER/tiny_all/seed3"


WRONG: list[tuple[list[str], dict[str, str], str]] = [
    (["run", "MPAFER"], {}, "Missing argument 'DATASET'. One of .*rafdb rafdb_compound sketchfer"),
    (["run", "MPAFER", "imagenet"], {}, "unknown data set 'imagenet': known: .*rafdb, rafdb_compound, sketchfer"),
    (["run", "MPAFER", "rafdb2"], {}, "unknown data set 'rafdb2': did you mean rafdb?"),
    (["run", "MPAFERR", "rafdb"], {}, "no method 'MPAFERR': did you mean MPAFER?"),
    (["run", "MPAFER", "rafdb", "rn50"], {}, "unknown config 'rn50' of MPAFER: known: tiny, vit_b16"),
    (["run", "MPAFER", "rafdb", "vit_b16", "many"], {}, "SHOTS.*not 'many'"),
    (["run", "MPAFER", "rafdb", "vit_b16", "0"], {}, "SHOTS.*not '0'"),
    (["run", "MPAFER", "rafdb", "vit_b16", "1", "OPTIM.LR"], {}, "KEY VALUE pairs; 'OPTIM.LR' is left over"),
    (["run", "MPAFER", "rafdb", "vit_b16", "1", "--job", "2"], {}, "no option --job: --help"),
    (["run", "MPAFER", "rafdb"], {"SEEDS": "*"}, r"whole numbers with blanks between, not '\*'"),
    (["run", "MPAFER", "rafdb"], {"SEEDS": " "}, "whole numbers with blanks between, not ' '"),
    (["run", "MPAFER", "rafdb"], {"SEEDS": "-2"}, "a seed is 0 to 4294967295, not -2"),
    (["run", "MPAFER", "rafdb"], {"SEEDS": "8589934593"}, "a seed is 0 to 4294967295, not 8589934593"),
    (["run", "MPAFER", "rafdb"], {"TAG": "../../x"}, r"TAG is part of a folder's name.*'\.\./\.\./x'"),
    (["run", "MPAFER", "rafdb"], {"JOBS": "0"}, "'--jobs'.*: 0 is not in the range"),
    (["compare"], {}, "Missing argument 'DATASET'"),
    (["compare", "imagenet"], {}, "unknown data set 'imagenet'"),
    (["compare", "rafdb"], {"CFG": "rn50"}, "no method has a config 'rn50'"),
    (["compare", "rafdb"], {"METHODS": "MPAFER Nobody"}, "no method 'Nobody'"),
    (["compare", "rafdb", "0"], {}, "SHOTS.*not '0'"),
    (["compare", "rafdb", "16", "OPTIM.LR"], {}, "KEY VALUE pairs; 'OPTIM.LR' is left over"),
    (["compare", "rafdb"], {"JOBS": "many"}, "'many' is not a valid integer"),
    (["compare", "rafdb", "16", "TEST.SPLIT", "val"], {}, "name METHODS that learn to compare on TEST.SPLIT val"),
    (["ablate", "k"], {}, "Missing argument 'DATASET'"),
    (["ablate", "kk", "rafdb"], {}, "kk"),
    (["ablate", "k", "imagenet"], {}, "unknown data set 'imagenet'"),
    (["ablate", "k", "rafdb", "rn50"], {}, "unknown config 'rn50' of MPAFER"),
    (["ablate", "k", "rafdb", "tiny", "some"], {}, "SHOTS.*not 'some'"),
    (["ablate", "k", "rafdb", "tiny", "1", "OPTIM.LR"], {}, "'OPTIM.LR' is left over"),
    (["ablate", "k", "rafdb"], {"SPLIT": "train"}, "'train' is not one of 'test', 'val'"),
    (["cross"], {}, "Missing argument 'SOURCE'"),
    (["cross", "rafdb"], {}, "no data set to test on"),
    (["cross", "rafdb", "OPTIM.LR", "1"], {}, "no data set to test on"),
    (["cross", "rafdb", "sketchfer9"], {}, "unknown data set 'sketchfer9': did you mean sketchfer"),
    (["cross", "imagenet", "rafdb"], {}, "unknown data set 'imagenet'"),
    (["cross", "rafdb", "sketchfer8", "OPTIM.LR"], {}, "KEY VALUE pairs; 'OPTIM.LR' is left over"),
    (["sweep", "CoOp", "rafdb"], {}, "nothing is varied: give KEY=a,b,c, or --grid FILE"),
    (["sweep", "CoOp", "rafdb", "OPTIM.LR=1,,2"], {}, "OPTIM.LR=1,,2: values must be there, each once"),
    (["sweep", "CoOp", "rafdb", "OPTIM.LR=1,1"], {}, "OPTIM.LR=1,1: values must be there, each once"),
]


@pytest.mark.parametrize(("words", "variables", "message"), WRONG, ids=[" ".join(case[0]) for case in WRONG])
def test_wrong_calls_are_explained_before_anything_runs(
    runner: Runner, tmp_path: Path, words: list[str], variables: dict[str, str], message: str
) -> None:
    with pytest.raises(SystemExit) as refused:
        invoke(*words, **variables)
    assert re.search(message, str(refused.value), re.DOTALL), refused.value
    assert not runner.started and not list(tmp_path.iterdir())


# --- compare


def test_compare_runs_skips_resumes_and_survives_a_failure(runner: Runner) -> None:
    half = Path("output/rafdb/MPAFER/tiny_all/seed2/prompts")
    half.mkdir(parents=True)
    (half / "model.pth.tar-3").touch()
    chosen = {"CFG": "tiny", "METHODS": "MPAFER ZeroshotCLIP", "SEEDS": "1 2"}
    runner.fails = lambda job: (job.shots, job.seed) == (4, 2)
    with pytest.raises(SystemExit) as failed:
        invoke("compare", "rafdb", "4", "-1", "OPTIM.MAX_EPOCH", "7", **chosen)
    assert runner.words() == ["MPAFER 4 1", "MPAFER 4 2", "ZeroshotCLIP -1 1", "MPAFER -1 1", "MPAFER -1 2"]
    folder = "output/rafdb/MPAFER/tiny_4shots_OPTIM.MAX_EPOCH=7/seed2"
    assert f"MPAFER 4shots seed2: {folder}/console.txt: error: the loss is NaN" in str(failed.value)
    table = Path("output/rafdb/comparison_tiny_OPTIM.MAX_EPOCH=7/comparison.csv")
    assert [(row["trainer"], row["shots"], row["n"]) for row in csv.DictReader(table.read_text().splitlines())] == [
        ("MPAFER", "4", "1"), ("ZeroshotCLIP", "4", "1"), ("MPAFER", "-1", "2"), ("ZeroshotCLIP", "-1", "1"),
    ]  # fmt: skip

    runner.started, runner.fails = [], lambda job: False
    printed = invoke("compare", "rafdb", "4", "-1", "OPTIM.MAX_EPOCH", "7", **chosen)
    assert runner.words() == ["MPAFER 4 2"]
    assert printed.count("finished already, skipped") == 4 and "failed" not in printed
    runner.started = []
    printed = invoke("compare", "rafdb", **{**chosen, "METHODS": "MPAFER", "SEEDS": "2"})
    assert "MPAFER all seed2 resumed" in printed and len(runner.started) == 2, "16 shots and all are the default"


def test_compare_takes_every_method_with_the_config_ours_first(runner: Runner) -> None:
    known = sorted(path.parent.name for path in (ROOT / "trainers").glob("[!_]*/tiny.yaml"))
    invoke("compare", "sketchfer", "-1", SEEDS="1")
    assert runner.started[0].method == "MPAFER" and sorted(job.method for job in runner.started) == known


def test_a_folder_in_place_of_the_data_set_runs_nothing(runner: Runner) -> None:
    invoke("compare", "sketchfer", "4", METHODS="MPAFER CoOp", SEEDS="1 2")
    folder = Path("output/sketchfer/comparison")
    made = {path: path.read_bytes() for path in folder.glob("*.*")}
    runner.started = []
    printed = invoke("compare", "output/sketchfer", "4", "--cfg", "tiny")
    assert not runner.started and "CoOp" in printed and len(made) == 5
    assert {path: path.read_bytes() for path in folder.glob("*.*")} == made


# --- ablate


def test_ablate_runs_what_is_missing_notes_the_plan_and_makes_the_tables(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three alignments, k up to four patches, which share a run."""
    from mpafer.runs import ablation_plan

    monkeypatch.setattr(ablation_plan, "_patches", lambda config: 4)
    chosen = {"SPLIT": "val", "SEEDS": "1"}
    printed = invoke("ablate", "alignment", "rafdb", "tiny", "2", "TRAINER.MPAFER.TOP_K", "4", **chosen)
    assert len(runner.started) == 3 and "sparse local seed1 started" in printed
    (table,) = Path("output/rafdb/ablation_alignment").glob("*.json")
    found = json.loads(table.read_text())
    assert [row["variant"] for row in found["tables"][0]["rows"]] == ["global", "sparse local", "global-local"]
    assert [row["ALIGNMENT"] for row in found["tables"][0]["rows"]] == ["global", "local", "global_local"]
    plain = Path("output/rafdb/MPAFER", table.stem)
    assert read_plans(plain) == {"alignment": {f"rafdb/{plain.name}": "global-local"}}

    runner.started, runner.fails = [], lambda job: ("TRAINER.MPAFER.TOP_K", "1") in job.options
    with pytest.raises(SystemExit) as failed:
        invoke("ablate", "k", "rafdb", "tiny", "2", **chosen)
    printed = str(failed.value)
    assert len(runner.started) == 2 and re.search(r"failed, with .*\nk = 1 seed1: .*console\.txt: error", printed)
    assert "[3] k = 4 seed1 finished already, skipped" in printed
    assert "no result of 'k = 1'" in printed and "no result of the reference 'k = 16'" in printed, "of four patches"
    (curve,) = Path("output/rafdb/ablation_k").glob("*_curve.csv")
    assert [line.split(",")[:2] for line in curve.read_text().splitlines()] == [["k", "n"], ["2", "1"], ["4", "1"]]
    stem = curve.stem.removesuffix("_curve")
    assert read_plans(plain)["k"] == {f"rafdb/{stem}": "k = 4"} and stem != plain.name

    invoke("ablate", "k", "output/rafdb")
    again = Path("output/rafdb/ablation_k/ablation.json")
    assert json.loads(again.read_text())["tables"] == json.loads((curve.parent / f"{stem}.json").read_text())["tables"]


# --- sweep


def test_sweep_makes_one_table_and_one_row_a_run(runner: Runner) -> None:
    invoke("sweep", "MPAFER", "sketchfer", "BETA=0.5,1,2", "OPTIM.MAX_EPOCH", "3", "--shots", "2 16", SEEDS="1 2 3")
    assert len(runner.started) == 18
    assert str(runner.started[0].folder) == "output/sketchfer/MPAFER/tiny_2shots_BETA=0.5_OPTIM.MAX_EPOCH=3/seed1"
    folder = Path("output/sketchfer/sweep_MPAFER_BETA_OPTIM.MAX_EPOCH=3")
    rows = list(csv.DictReader((folder / "sweep.csv").read_text().splitlines()))
    assert len(rows) == 18 and {(row["BETA"], row["shots"], row["seed"]) for row in rows} == {
        (beta, shots, seed) for beta in ("0.5", "1", "2") for shots in ("2", "16") for seed in "123"
    }
    points = json.loads((folder / "sweep.json").read_text())["rows"]
    assert [(row["BETA"], row["shots"], row["n"]) for row in points] == [
        (beta, shots, 3) for beta in ("0.5", "1", "2") for shots in (2, 16)
    ]
    accuracy = [float(row["accuracy"]) for row in rows if (row["BETA"], row["shots"]) == ("1", "16")]
    assert points[3]["accuracy"] == pytest.approx(sum(accuracy) / 3)
    assert {path.suffix for path in folder.iterdir()} == {".md", ".html", ".tex", ".csv", ".json"}


def test_sweep_takes_any_method_and_key_and_a_grid_in_yaml(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text("OPTIM.LR: [0.002, 0.032]\nINPUT.SIZE: ['(96, 96)']\n")
    invoke("sweep", "CoOp", "sketchfer", "--grid", "grid.yaml", "N_CTX=4,8", "--name", "rates", SEEDS="1")
    assert [job.options for job in runner.started] == [
        (("OPTIM.LR", rate), ("INPUT.SIZE", "(96, 96)"), ("TRAINER.COOP.N_CTX", number))
        for rate in ("0.002", "0.032") for number in ("4", "8")
    ]  # fmt: skip
    rows = list(csv.DictReader(Path("output/sketchfer/rates/sweep.csv").read_text().splitlines()))
    assert [(row["OPTIM.LR"], row["N_CTX"]) for row in rows] == [
        ("0.002", "4"), ("0.002", "8"), ("0.032", "4"), ("0.032", "8"),
    ]  # fmt: skip


def test_sweep_goes_on_without_what_failed(runner: Runner) -> None:
    runner.fails = lambda job: ("OPTIM.LR", "9") in job.options
    with pytest.raises(SystemExit) as failed:
        invoke("sweep", "CoOp", "sketchfer", "OPTIM.LR=0.002,9", SEEDS="1")
    assert "no result of OPTIM.LR 9, all" in str(failed.value) and "the loss is NaN" in str(failed.value)
    assert len(Path("output/sketchfer/sweep_CoOp_OPTIM.LR/sweep.csv").read_text().splitlines()) == 2


# --- cross


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature RAF-DB, drawn faces, and finished runs of seeds 1 and 2 in out/."""
    place = make_world(tmp_path_factory.mktemp("cross"))
    for seed in (1, 2):
        train_in_process(place, place / f"out/rafdb/MPAFER/tiny_all/seed{seed}", seed=seed, **{"OPTIM.MAX_EPOCH": 1})
    return place


def test_cross_takes_finished_runs_tests_them_and_makes_the_table(
    runner: Runner, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPAFER_CACHE", str(world / "cache"))
    variables = {"CFG": "tiny", "SEEDS": "1 2", "DATA": f"{world}/data", "OUT": f"{world}/out"}
    tested = ["TEST.CROSS_CLASSES", "mask", "--", "DATASET.SUBSAMPLE_CLASSES", "happiness,neutral,contempt"]
    printed = invoke("cross", "rafdb", "sketchfer8", *tested, **variables)
    assert not runner.started
    folder = world / "out/cross_dataset/rafdb"
    (place,) = (folder / "sketchfer8/MPAFER").glob("tiny_all_TEST.CROSS_CLASSES=mask_DATASET.SUBSAMPLE_CLASSES=*")
    found = [results(place / f"seed{seed}") for seed in (1, 2)]
    assert [record["seed"] for record in found] == [1, 2] and found[0]["cross"]["rule"] == "mask"
    assert found[0]["classnames"] == ["happiness", "neutral"] and set(found[0]["cross"]["dropped"]) == {"contempt"}
    accuracies = [record["metrics"]["accuracy"] for record in found]
    row = json.loads((folder / "cross_dataset.json").read_text())["rows"][1]
    assert row["accuracy"] == pytest.approx(sum(accuracies) / 2) and "TEST" not in row["config"]
    assert "Published for training on RAFDB, not measured here" in printed and "86.55" in printed
    again = invoke("cross", "rafdb", "sketchfer8", *tested, **variables)
    assert again.count("finished already, skipped") == 4

    run = world / "out/rafdb/MPAFER/tiny_all/seed1"  # one run alone goes to the same place
    again = invoke("cross", str(run), "sketchfer8", *tested, **variables)
    assert again.count("finished already, skipped") == 1 and "sketchfer8 tested" not in again
    made = (folder / "cross_dataset.json").read_bytes()
    invoke("cross", str(folder))
    assert (folder / "cross_dataset.json").read_bytes() == made

    runner.fails = lambda job: True
    with pytest.raises(SystemExit, match="the loss is NaN"):
        invoke("cross", "rafdb", "sketchfer8", "OPTIM.LR", "0.1", *tested, **variables)
    assert runner.words() == ["MPAFER -1 1", "MPAFER -1 2"] and runner.started[0].options == (("OPTIM.LR", "0.1"),)


def test_cross_plans_the_tests_of_runs_that_are_not_there_yet(runner: Runner) -> None:
    planned = invoke("cross", "rafdb", "ferplus7", "ckplus", "--plan", SEEDS="1")
    first, *tests = planned.splitlines()
    assert first.startswith("mpafer train ") and [line.split("--dataset ")[1].split()[0] for line in tests] == [
        "ferplus7", "ckplus",
    ]  # fmt: skip


# --- methods, datasets


def test_methods_and_datasets_are_listed() -> None:
    methods, datasets = invoke("methods"), invoke("datasets")
    for name in METHODS:
        assert re.search(rf"^{name} ", methods, re.M)
    assert re.search(r"^ZeroshotCLIP +Zero-shot CLIP.* no +TRAINER\.ZEROSHOTCLIP +tiny vit_b16", methods, re.M)
    assert re.search(r"^rafdb +RAFDB +7 +12,271 +3,068", datasets, re.M)
    assert re.search(r"^ferplus .*DATASET\.LABEL_RULE", datasets, re.M)


def test_a_job_knows_its_fingerprint() -> None:
    """Equal but for the seed; any other setting tells them apart, and where results lie does not."""
    job = Job("MPAFER", "sketchfer", "tiny", 16, options=(("OPTIM.LR", "0.1"),))
    same = [Job("MPAFER", "sketchfer", "tiny", 16, 2, (("OPTIM.LR", "0.1"),), label="x")]
    others = [
        Job("CoOp", "sketchfer", "tiny", 16, options=(("OPTIM.LR", "0.1"),)),
        Job("MPAFER", "sketchfer8", "tiny", 16, options=(("OPTIM.LR", "0.1"),)),
        Job("MPAFER", "sketchfer", "vit_b16", 16, options=(("OPTIM.LR", "0.1"),)),
        Job("MPAFER", "sketchfer", "tiny", 8, options=(("OPTIM.LR", "0.1"),)),
        Job("MPAFER", "sketchfer", "tiny", 16, options=(("OPTIM.LR", "0.2"),)),
        Job("MPAFER", "sketchfer", "tiny", 16),
    ]
    assert {each.fingerprint for each in same} == {job.fingerprint}
    assert len({each.fingerprint for each in [job, *others]}) == 7
