"""MPAFER and our data sets in real checkouts, on real Dassl.

None of that can be installed here by itself: set MPAFER_CHECKOUTS to a folder that holds the git checkouts ``coop``,
``maple`` and ``promptsrc``, in an environment with Dassl. Without them these tests are skipped, each by its name.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from checkouts import DATASETS, OWN, REPO, accuracy, copy_checkout, forget_last_epoch, make_data, run, steps, words

HOME = os.environ.get("MPAFER_CHECKOUTS", "")
HAS_DASSL = find_spec("dassl") is not None
needs_dassl = pytest.mark.skipif(not HAS_DASSL, reason="Dassl is not installed here")
checkouts = pytest.mark.parametrize("name", OWN)
datasets = pytest.mark.parametrize("dataset", DATASETS)
TINY = ("--config-file", str(REPO / "configs/trainers/MPAFER/tiny.yaml"))
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
    if not HAS_DASSL or name not in copies:
        pytest.skip(f"needs Dassl and the checkout {name} in MPAFER_CHECKOUTS (now {HOME!r})")
    return copies[name]


def runs_half() -> bool:
    """Whether there is a GPU, or this torch has float16 convolutions for CPUs."""
    try:
        torch.nn.functional.conv2d(torch.ones(1, 1, 2, 2).half(), torch.ones(1, 1, 2, 2).half())
    except RuntimeError:
        return torch.cuda.is_available()
    return True


def scores(out: Path) -> np.ndarray:
    return np.load(out / "scores.npz")["scores"]


@checkouts
@datasets
def test_mpafer_trains_evaluates_and_resumes(checkout, data, dataset, tmp_path):
    out, again = tmp_path / "run", tmp_path / "again"
    trained = run(checkout, *words(data, out, "MPAFER", dataset, *TINY))
    first, ends = scores(out), steps(trained)
    loaded = run(checkout, *words(data, again, "MPAFER", dataset, *TINY, "--eval-only", "--model-dir", str(out),
                                  "--load-epoch", "2"))  # fmt: skip
    assert accuracy(loaded) == accuracy(trained)
    np.testing.assert_array_equal(scores(again), first)
    forget_last_epoch(out)
    resumed = run(checkout, *words(data, out, "MPAFER", dataset, *TINY))
    assert "will resume training" in resumed and steps(resumed) == [line for line in ends if "epoch [2/2]" in line]
    np.testing.assert_array_equal(scores(out), first)
    assert not np.array_equal(first, np.roll(first, 1, axis=0)), "the control"
    assert json.loads((out / "results.json").read_text())["engine"]["name"] == "dassl"


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
    trained = run(checkout, *REPAIRS, *words(data, out, method, dataset, *flags, **options), plug=checkout)
    assert "Repaired dassl" in trained and len(steps(trained)) >= 4
    loaded = run(checkout, *REPAIRS, *words(data, tmp_path / "again", method, dataset, *flags, "--eval-only",
                 "--model-dir", str(out), "--load-epoch", "2", **options), plug=checkout)  # fmt: skip
    assert accuracy(loaded) == accuracy(trained)
    forget_last_epoch(out)
    resumed = run(checkout, *REPAIRS, *words(data, out, method, dataset, *flags, **options), plug=checkout)
    rates = [[re.findall(r"lr (\S+)", line)[0] for line in steps(log) if "epoch [2/2]" in line]
             for log in (trained, resumed)]  # fmt: skip
    assert rates[0] == rates[1] and len(set(rates[0])) == 2


@checkouts
def test_the_launcher_runs_the_runner_as_it_is(checkout, data, tmp_path):
    outs = tmp_path / "lines", tmp_path / "plug"
    logs = [
        run(checkout, *words(data, outs[0], "MPAFER", "rafdb", *TINY)),
        run(checkout, "train.py", *words(data, outs[1], "MPAFER", "rafdb", *TINY), plug=checkout),
    ]
    assert steps(logs[0]) == steps(logs[1])
    np.testing.assert_array_equal(scores(outs[0]), scores(outs[1]))


@checkouts
def test_importing_us_changes_nothing_of_theirs(checkout, data, tmp_path):
    """Their own CoOp on their own EuroSAT, with and without our two lines, without a warm-up: that needs no repair."""
    from miniatures import noise

    for cls in range(4):
        for i in range(10):
            noise(data / "eurosat" / "2750" / f"class{cls}" / f"{i}.jpg", (48, 48), 10 * cls + i)
    logs = []
    for folder, runner in ((tmp_path / "with", "train_fer.py"), (tmp_path / "without", "train.py")):
        arguments = words(data, folder, "CoOp", "eurosat", **{"TRAINER.COOP.PREC": "fp32"})
        code = (
            "import sys, runpy; from clip import clip; "
            f"clip._MODELS['RN50'] = {str(data / 'wide.pt')!r}; clip._download = lambda url: url; "
            f"sys.argv = [{runner!r}, *sys.argv[1:]]; runpy.run_path({runner!r}, run_name='__main__')"
        )
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": "."}
        command = [sys.executable, "-c", code, *arguments, "MODEL.BACKBONE.NAME", "RN50"]
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        logs.append(done.stdout)
    assert steps(logs[0]) == steps(logs[1]) and len(steps(logs[0])) == 4
    assert [line for line in logs[0].splitlines() if line.startswith("* ")] == [
        line for line in logs[1].splitlines() if line.startswith("* ")
    ]


@checkouts
def test_parse_test_res_reads_our_logs(checkout, data, tmp_path):
    """Of our own runner, as it lies: a folder with a folder for each seed."""
    accuracies = []
    for seed in (1, 2):
        arguments = words(data, tmp_path / "runs" / f"seed{seed}", "MPAFER", "rafdb", *TINY)
        arguments[arguments.index("--seed") + 1] = str(seed)
        accuracies.append(accuracy(own_runner("builtin", *arguments)))
    command = [sys.executable, "parse_test_res.py", str(tmp_path / "runs")]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    mean, spread = np.mean(accuracies), np.std(accuracies)
    assert f"* accuracy: {mean:.2f}% +- {spread:.2f}%" in done.stdout


def own_runner(engine: str, *arguments: str) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MPAFER_ENGINE": engine, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, str(REPO / "train.py"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@needs_dassl
@pytest.mark.parametrize("method", ["MPAFER", "CoOp", "PromptSRC"])
@pytest.mark.parametrize("dataset", ["rafdb", "sketchfer"])
def test_both_engines_give_the_same_numbers(data, dataset, method, tmp_path):
    """One config and seed: images, order, rates, losses of every step, predictions; and each reads the other's file."""
    yaml = ("--config-file", str(REPO / "configs/trainers" / method / "tiny.yaml"))
    logs, found = {}, {}
    for engine in ("dassl", "builtin"):
        out = tmp_path / engine
        logs[engine] = own_runner(engine, *words(data, out, method, dataset, *yaml))
        found[engine] = json.loads((out / "results.json").read_text())
        assert found[engine]["engine"]["name"] == engine
    assert steps(logs["dassl"]) == steps(logs["builtin"]) and len(steps(logs["dassl"])) >= 4
    a, b = (scores(tmp_path / engine) for engine in found)
    np.testing.assert_array_equal(a, b)
    for writer, reader in (("dassl", "builtin"), ("builtin", "dassl")):
        out = tmp_path / f"{writer} read by {reader}"
        flags = ("--eval-only", "--model-dir", str(tmp_path / writer), "--load-epoch", "2")
        own_runner(reader, *words(data, out, method, dataset, *yaml, *flags))
        np.testing.assert_array_equal(scores(out), a)
    other = words(data, tmp_path / "other", method, dataset, *yaml)
    other[other.index("--seed") + 1] = "2"
    assert steps(own_runner("dassl", *other)) != steps(logs["dassl"]), "the control: another seed"


SAME_PARTS = """
import json, sys
import mpafer, torch
from mpafer.engine import host
from mpafer.engine.schedule import build_lr_scheduler
from mpafer.config import merge_file, merge_list
cfg = host.get_cfg_default(); mpafer.extend_cfg(cfg, baselines=True)
cfg.DATASET.ROOT, cfg.SEED, cfg.VERBOSE = sys.argv[1], int(sys.argv[2]), False
merge_list(cfg, ["DATASET.NAME", "RAFDB", "DATASET.NUM_SHOTS", "4", "DATALOADER.NUM_WORKERS", "0"])
mpafer.register(baselines=True)
data = host.build_dataset(cfg)
cfg.OPTIM.WARMUP_EPOCH, cfg.OPTIM.MAX_EPOCH, cfg.OPTIM.LR = 2, 12, 0.032
if host.ENGINE == "dassl":
    mpafer.repair_dassl()
    build_lr_scheduler = host.dassl_module("dassl.optim").build_lr_scheduler
rates = []
for cfg.OPTIM.WARMUP_TYPE in ("constant", "linear"):
    for cfg.OPTIM.LR_SCHEDULER in ("cosine", "single_step"):
        cfg.OPTIM.STEPSIZE = (5,)
        optim = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=cfg.OPTIM.LR)
        sched = build_lr_scheduler(optim, cfg.OPTIM)
        for _ in range(12):
            rates.append(optim.param_groups[0]["lr"]); optim.step(); sched.step()
judge = host.build_evaluator(cfg, lab2cname=data.lab2cname)
torch.manual_seed(0)
scores, labels = torch.randn(200, 7), torch.arange(200) % 7
judge.process(scores, labels)
figures = judge.evaluate()
print("\\n" + json.dumps({"base": type(data).__mro__[2].__module__, "images": [item.impath for item in data.train_x],
    "rates": rates, "figures": {name: figures[name] for name in ("accuracy", "error_rate", "macro_f1")}}))
"""


@needs_dassl
def test_dassls_own_parts_agree_with_the_builtin_ones(data):
    """Its few-shot draw, its (repaired) schedules and its evaluator: what our trainer does not replace or mirrors."""

    def parts(engine: str, seed: int) -> dict:
        environment = os.environ | {"MPAFER_ENGINE": engine, "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, "-c", SAME_PARTS, str(data), str(seed)]
        done = subprocess.run(command, cwd=data, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    theirs, ours = parts("dassl", 3), parts("builtin", 3)
    assert theirs["base"].startswith("dassl.") and ours["base"].startswith("mpafer.")
    assert theirs["images"] == ours["images"] and len(ours["images"]) == 28
    assert theirs["images"] != parts("builtin", 4)["images"], "the control"
    np.testing.assert_allclose(theirs["rates"], ours["rates"], rtol=1e-12)
    assert theirs["figures"] == pytest.approx(ours["figures"], abs=1e-12)
