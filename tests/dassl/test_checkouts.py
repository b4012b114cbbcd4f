"""MPAFER and our data sets in real checkouts, on real Dassl.

None of that can be installed here by itself: set MPAFER_CHECKOUTS to a folder that holds the git checkouts ``coop``,
``maple`` and ``promptsrc``, in an environment with Dassl, and run ``python -m pytest -m reference tests/dassl``.
Without them these tests are skipped, each by its name.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.checkouts import (
    DATASETS,
    OWN,
    accuracy,
    copy_checkout,
    forget_last_epoch,
    guest_configs,
    make_data,
    own_runner,
    run,
    steps,
    words,
)
from support.runs import results, scores
from support.standin import has_dassl

pytestmark = pytest.mark.reference

HOME = os.environ.get("MPAFER_CHECKOUTS", "")
checkouts = pytest.mark.parametrize("name", OWN)
datasets = pytest.mark.parametrize("dataset", DATASETS)
REPAIRS = ("--repair-dassl", "--repair-clip", "train.py")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def copies(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("copies")
    there = [name for name in OWN if HOME and (Path(HOME) / name / "train.py").is_file()]
    return {name: copy_checkout(Path(HOME) / name, folder / name) for name in there}


@pytest.fixture
def checkout(copies, name) -> Path:
    if not has_dassl() or name not in copies:
        pytest.skip(f"needs Dassl and the checkout {name} in MPAFER_CHECKOUTS (now {HOME!r})")
    return copies[name]


@pytest.fixture(scope="module")
def tiny() -> tuple[str, str]:
    """MPAFER's small config, as a runner's flag."""
    return "--config-file", str(guest_configs() / "trainers/MPAFER/tiny.yaml")


def runs_half() -> bool:
    """Whether there is a GPU, or this torch has float16 convolutions for CPUs."""
    try:
        torch.nn.functional.conv2d(torch.ones(1, 1, 2, 2).half(), torch.ones(1, 1, 2, 2).half())
    except RuntimeError:
        return torch.cuda.is_available()
    return True


@checkouts
@datasets
def test_mpafer_trains_evaluates_and_resumes(checkout, data, dataset, tiny, tmp_path):
    out, again = tmp_path / "run", tmp_path / "again"
    trained = run(checkout, *words(data, out, "MPAFER", dataset, *tiny))
    first, ends = scores(out), steps(trained)
    loaded = run(checkout, *words(data, again, "MPAFER", dataset, *tiny, "--eval-only", "--model-dir", str(out),
                                  "--load-epoch", "2"))  # fmt: skip
    assert accuracy(loaded) == accuracy(trained)
    np.testing.assert_array_equal(scores(again), first)
    forget_last_epoch(out)
    resumed = run(checkout, *words(data, out, "MPAFER", dataset, *tiny))
    assert "will resume training" in resumed and steps(resumed) == [line for line in ends if "epoch [2/2]" in line]
    np.testing.assert_array_equal(scores(out), first)
    assert not np.array_equal(first, np.roll(first, 1, axis=0)), "the control"
    assert results(out)["engine"]["name"] == "dassl"


@checkouts
@pytest.mark.parametrize("dataset", ["rafdb", "sketchfer"])
def test_the_checkouts_own_method_runs_on_our_data(checkout, name, data, dataset, tmp_path):
    """With both repairs. A resumed run has other batches in its second epoch (Dassl keeps no generator's state), but
    has to have the rates of the whole one."""
    method, precision, yaml = OWN[name]
    if precision == "fp16" and not runs_half():
        pytest.skip(f"{method} is float16, which torch {torch.__version__} cannot compute here")
    options = {f"TRAINER.{method.upper()}.PREC": precision}
    flags = ["--config-file", f"configs/trainers/{yaml}", "--backbone", "tiny" if name == "coop" else f"{data}/wide.pt"]
    out = tmp_path / "run"
    trained = run(checkout, *REPAIRS, *words(data, out, method, dataset, *flags, **options), plug=True)
    assert "Repaired dassl" in trained and len(steps(trained)) >= 4
    loaded = run(checkout, *REPAIRS, *words(data, tmp_path / "again", method, dataset, *flags, "--eval-only",
                 "--model-dir", str(out), "--load-epoch", "2", **options), plug=True)  # fmt: skip
    assert accuracy(loaded) == accuracy(trained)
    forget_last_epoch(out)
    resumed = run(checkout, *REPAIRS, *words(data, out, method, dataset, *flags, **options), plug=True)
    rates = [[re.findall(r"lr (\S+)", line)[0] for line in steps(log) if "epoch [2/2]" in line]
             for log in (trained, resumed)]  # fmt: skip
    assert rates[0] == rates[1] and len(set(rates[0])) == 2


@checkouts
def test_the_launcher_runs_the_runner_as_it_is(checkout, data, tiny, tmp_path):
    outs = tmp_path / "lines", tmp_path / "plug"
    logs = [
        run(checkout, *words(data, outs[0], "MPAFER", "rafdb", *tiny)),
        run(checkout, "train.py", *words(data, outs[1], "MPAFER", "rafdb", *tiny), plug=True),
    ]
    assert steps(logs[0]) == steps(logs[1])
    np.testing.assert_array_equal(scores(outs[0]), scores(outs[1]))
    flags = ("--eval-only", "--model-dir", str(outs[1]), "--load-epoch", "2")
    own_runner(*words(data, tmp_path / "ours", "MPAFER", "rafdb", *tiny, *flags))
    np.testing.assert_array_equal(scores(tmp_path / "ours"), scores(outs[1]))


@checkouts
def test_importing_us_changes_nothing_of_theirs(checkout, data, tmp_path):
    """Their own CoOp on their own EuroSAT, as it is, with our two lines, launched; without a warm-up, so unrepaired."""
    from support.miniatures import noise

    for cls in range(4):
        for i in range(10):
            noise(data / "eurosat" / "2750" / f"class{cls}" / f"{i}.jpg", (48, 48), 10 * cls + i)
    logs = {}
    for how, seed in (("train.py", 1), ("train_fer.py", 1), ("mpafer.plug", 1), ("other seed", 2)):
        arguments = words(data, tmp_path / how, "CoOp", "eurosat", **{"TRAINER.COOP.PREC": "fp32"})
        arguments[arguments.index("--seed") + 1] = str(seed)
        runner = how if how.endswith(".py") else "train.py"
        start = "module('mpafer.plug'" if how == "mpafer.plug" else f"path({runner!r}"
        code = (
            "import sys, runpy; from clip import clip; "
            f"clip._MODELS['RN50'] = {str(data / 'wide.pt')!r}; clip._download = lambda url: url; "
            f"sys.argv = ['', *{[runner] if how == 'mpafer.plug' else []}, *sys.argv[1:]]; "
            f"runpy.run_{start}, run_name='__main__')"
        )
        path = os.pathsep.join([".", os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": path}
        command = [sys.executable, "-c", code, *arguments, "MODEL.BACKBONE.NAME", "RN50"]
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        logs[how] = steps(done.stdout) + [line for line in done.stdout.splitlines() if line.startswith("* ")]
    assert logs["train.py"] == logs["train_fer.py"] == logs["mpafer.plug"] and len(logs["train.py"]) > 8
    assert logs["other seed"] != logs["train.py"], "the control"


@checkouts
def test_parse_test_res_reads_our_logs(checkout, data, tiny, tmp_path):
    """Of our own runner and of its own, as they lie: a folder with a folder for each seed."""
    accuracies = []
    for seed in (1, 2):
        arguments = words(data, tmp_path / "runs" / f"seed{seed}", "MPAFER", "rafdb", *tiny)
        arguments[arguments.index("--seed") + 1] = str(seed)
        log = own_runner(*arguments) if seed == 1 else run(checkout, *arguments)
        accuracies.append(accuracy(log))
    command = [sys.executable, "parse_test_res.py", str(tmp_path / "runs")]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    mean, spread = np.mean(accuracies), np.std(accuracies)
    assert f"* accuracy: {mean:.2f}% +- {spread:.2f}%" in done.stdout
