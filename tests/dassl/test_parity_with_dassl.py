"""Real Dassl and the built-in engine give the same numbers. Skipped, by name, where Dassl is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from support.checkouts import REPO, make_data, own_runner, scores, steps, words

needs_dassl = pytest.mark.skipif(find_spec("dassl") is None, reason="Dassl is not installed here")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))


@needs_dassl
@pytest.mark.parametrize(
    ("method", "fast"), [("MPAFER", False), ("MPAFER", True), ("CoOp", False), ("PromptSRC", False)]
)
@pytest.mark.parametrize("dataset", ["rafdb", "sketchfer"])
def test_both_engines_give_the_same_numbers(data, dataset, method, fast, tmp_path):
    """One config and seed: images, order, rates, losses of every step, predictions; and each reads the other's file."""
    yaml = ("--config-file", str(REPO / "configs/trainers" / method / "tiny.yaml"))
    logs, found = {}, {}
    for engine in ("dassl", "builtin"):
        out = tmp_path / engine
        logs[engine] = own_runner(engine, *words(data, out, method, dataset, *yaml), fast=fast)
        found[engine] = json.loads((out / "results.json").read_text())
        assert found[engine]["engine"]["name"] == engine
    assert steps(logs["dassl"]) == steps(logs["builtin"]) and len(steps(logs["dassl"])) >= 4
    a, b = (scores(tmp_path / engine) for engine in found)
    np.testing.assert_array_equal(a, b)
    for writer, reader in (("dassl", "builtin"), ("builtin", "dassl")):
        out = tmp_path / f"{writer} read by {reader}"
        flags = ("--eval-only", "--model-dir", str(tmp_path / writer), "--load-epoch", "2")
        own_runner(reader, *words(data, out, method, dataset, *yaml, *flags), fast=fast)
        np.testing.assert_array_equal(scores(out), a)
    other = words(data, tmp_path / "other", method, dataset, *yaml)
    other[other.index("--seed") + 1] = "2"
    assert steps(own_runner("dassl", *other)) != steps(logs["dassl"]), "the control: another seed"


SAME_PARTS = """
import json, sys
import mpafer, torch
from mpafer.engine import host
from mpafer.engine.schedule import build_lr_scheduler
from mpafer.common.config import merge_file, merge_list
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
