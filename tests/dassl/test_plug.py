"""The launcher, the two lines and the repairs, on the stand-in of Dassl and of a checkout (standin.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.miniatures_fer import make_ckplus
from support.runs import METHOD, REPO, SMALL, make_world, run, scores
from support.standin import make_checkout, make_dassl


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    world = make_world(tmp_path_factory.mktemp("world"))
    make_dassl(world / "installed")
    return world


def python(world: Path, *command: str | Path, cwd: Path | None = None, ok: bool = True, **variables: str) -> str:
    """Run a Python of this environment where the stand-in is installed; returns stdout, or stderr of a failure."""
    environment = os.environ | {
        "PYTHONPATH": str(world / "installed"), "MPAFER_CACHE": str(world / "cache"), "OMP_NUM_THREADS": "1",
        "MPAFER_ENGINE": "auto", **variables,
    }  # fmt: skip
    command = (sys.executable, *map(str, command))
    done = subprocess.run(command, env=environment, cwd=cwd or world, capture_output=True, text=True)
    assert (done.returncode == 0) is ok, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout if ok else done.stderr


def arguments(world: Path, out: Path, trainer: str = "MPAFER") -> list[str]:
    return [
        "--root", str(world / "data"), "--seed", "1", "--trainer", trainer, "--output-dir", str(out),
        "--dataset-config-file", str(REPO / "configs/datasets/rafdb.yaml"), "--config-file", str(REPO / METHOD),
        "--backbone", str(world / "clip.safetensors"), *(word for pair in SMALL.items() for word in pair),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def builtin(world) -> np.ndarray:
    """Scores of the same run in our own runner, with the input path that runs on Dassl have."""
    done = run(world, world / "builtin", **{"DATALOADER.FAST": "False"})
    assert done.returncode == 0, done.stderr
    return scores(world / "builtin")


def test_two_lines_in_a_runner(world, builtin, tmp_path):
    runner = make_checkout(tmp_path / "checkout", two_lines=True)
    log = python(world, runner, *arguments(world, tmp_path / "run"))
    assert "theirs checkout checkout checkout" in log
    np.testing.assert_array_equal(scores(tmp_path / "run"), builtin)


def test_the_launcher_leaves_the_runner_as_it_is(world, builtin, tmp_path):
    runner = make_checkout(tmp_path / "checkout")
    text = runner.read_text()
    log = python(world, "-m", "mpafer.dassl.plug", runner, *arguments(world, tmp_path / "run"))
    assert "theirs checkout checkout checkout" in log and runner.read_text() == text
    np.testing.assert_array_equal(scores(tmp_path / "run"), builtin)
    refused = python(world, runner, *arguments(world, tmp_path / "without"), ok=False)
    assert "KeyError" in refused, "the control: without us the runner knows no such method"


def test_the_launcher_finds_the_checkouts_modules_from_our_own_folder(world, tmp_path):
    """The current folder has `datasets` and `trainers` of its own, ours, which must not answer."""
    runner = make_checkout(tmp_path / "checkout")
    log = python(world, "-m", "mpafer.dassl.plug", runner, *arguments(world, tmp_path / "run", "CoOp"), cwd=REPO)
    assert "theirs checkout checkout checkout" in log


def test_the_checkouts_names_stay_its_own(world, tmp_path):
    """Its CoOp, its node of it, and a data set that it calls as one of ours."""
    runner = make_checkout(tmp_path / "checkout", own_rafdb=True)
    log = python(world, "-m", "mpafer.dassl.plug", runner, *arguments(world, tmp_path / "run", "CoOp"))
    assert "this is the checkout's CoOp" in log and " MPAFER COOP\n" in log and "KGCOOP" not in log
    code = (
        "import mpafer; from mpafer.engine.host import DATASET_REGISTRY, TRAINER_REGISTRY; mpafer.register();"
        "print(sorted(TRAINER_REGISTRY.registered_names()), 'RAFDB' in DATASET_REGISTRY.registered_names())"
    )
    assert python(world, "-c", code).strip() == "['MPAFER'] True"


def test_launcher_messages(world, tmp_path):
    assert python(world, "-m", "mpafer.dassl.plug", "--configs").strip() == str(REPO / "configs")
    message = python(world, "-m", "mpafer.dassl.plug", tmp_path / "train.py", ok=False)
    assert message.startswith("error: ") and "name the train.py of a CoOp" in message and "Traceback" not in message
    assert "name the checkout's train.py" in python(world, "-m", "mpafer.dassl.plug", ok=False)
    assert python(world, "-m", "mpafer.dassl.plug", "--repair", tmp_path / "train.py", ok=False)  # ambiguous
    runner = make_checkout(tmp_path / "checkout")
    wrong = [*arguments(world, tmp_path / "run"), "TRAINER.MPAFER.TOP_K", "1000"]
    message = python(world, "-m", "mpafer.dassl.plug", runner, *wrong, ok=False)
    assert message.strip().splitlines()[-1].startswith("error: TOP_K is 1000")
    message = python(world, "-m", "mpafer.dassl.plug", runner, ok=False, MPAFER_ENGINE="builtin")
    assert message.strip() == "error: MPAFER_ENGINE=builtin, but a checkout's runner runs on Dassl: unset it"
    (tmp_path / "checkout/trainers/theirs.py").write_text("open('/no/such/file of theirs')")
    message = python(world, "-m", "mpafer.dassl.plug", runner, *arguments(world, tmp_path / "run"), ok=False)
    assert "Traceback" in message and "/no/such/file of theirs" in message, "what is theirs keeps its traceback"


def test_a_test_set_trains_nobody(world, tmp_path):
    """A method of the checkout that asks for training images of CK+ gets the reason, not the test images."""
    make_ckplus(world / "data")
    code = (
        "import sys, mpafer; from mpafer.engine import host; from mpafer.inputs.images import read_image;"
        "cfg = host.get_cfg_default(); mpafer.extend_cfg(cfg);"
        "cfg.DATASET.ROOT, cfg.DATASET.NAME = sys.argv[1], 'CKPlus';"
        "read_image(host.build_dataset(cfg).train_x[0].impath)"
    )
    message = python(world, "-c", code, world / "data", ok=False)
    assert "CKPlus has no training images here, it is a test set: DATASET.FOLD, 1 to 10" in message


# --- repairs

SCHEDULE = """
import sys, torch
from torch.optim.lr_scheduler import CosineAnnealingLR
import mpafer
{repair}
from dassl.optim.lr_scheduler import ConstantWarmupScheduler
def build():
    optim = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
    return optim, ConstantWarmupScheduler(optim, CosineAnnealingLR(optim, 8.0), 2, 1e-3)
def go(optim, sched, steps):
    rates = []
    for _ in range(steps):
        rates.append(optim.param_groups[0]["lr"]); optim.step(); sched.step()
    return rates
whole = go(*build(), 8)
optim, sched = build()
first = go(optim, sched, 4)
torch.save(dict(optimizer=optim.state_dict(), scheduler=sched.state_dict()), sys.argv[1])
from dassl.utils import load_checkpoint
saved = load_checkpoint(sys.argv[1])
optim, sched = build()
optim.load_state_dict(saved["optimizer"]); sched.load_state_dict(saved["scheduler"])
assert first + go(optim, sched, 4) == whole, (first, whole)
assert len(set(whole)) == 7 and whole[0] == whole[1] == 1e-3, whole
print("same rates")
"""


def test_repair_dassl_makes_schedules_start_and_resume(world, tmp_path):
    broken = python(world, "-c", SCHEDULE.format(repair=""), tmp_path / "file", ok=False)
    assert "TypeError" in broken or "UnpicklingError" in broken, "the control: nothing is repaired by itself"
    repaired = SCHEDULE.format(repair="print(mpafer.repair_dassl()); assert mpafer.repair_dassl() == []")
    log = python(world, "-c", repaired, tmp_path / "file")
    assert "same rates" in log and "warm-up schedules" in log and "load_checkpoint" in log


def test_repair_dassl_reads_files_of_unrepaired_runs(world, tmp_path):
    """Their schedules lie there as objects; every module that took load_checkpoint by name has the repaired one."""
    code = """
import sys, torch
from dassl.utils import load_checkpoint as mine
import dassl.utils.torchtools as tools
optim = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
successor = torch.optim.lr_scheduler.CosineAnnealingLR(optim, 8.0)
for _ in range(3): optim.step(); successor.step()
torch.save({"scheduler": {"successor": successor, "warmup_epoch": 2, "last_epoch": 2}}, sys.argv[1])
import mpafer
here = sys.modules["__main__"]; here.load_checkpoint = mine
try: mine(sys.argv[1]); print("read")
except Exception as error: print(type(error).__name__)
mpafer.repair_dassl()
from dassl.optim.lr_scheduler import ConstantWarmupScheduler
state = tools.resume(sys.argv[1])["scheduler"]
assert here.load_checkpoint is tools.load_checkpoint is sys.modules["dassl.utils"].load_checkpoint is not mine
new = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
sched = ConstantWarmupScheduler(new, torch.optim.lr_scheduler.CosineAnnealingLR(new, 8.0), 2, 1e-3)
sched.load_state_dict(state)
assert sched.successor.last_epoch == 3 and sched.successor.optimizer is new
print("loaded")
"""
    log = python(world, "-c", code, tmp_path / "file").split()
    assert log[-1] == "loaded"
    try:
        torch.load(tmp_path / "file")
        safe = False
    except Exception:
        safe = True
    assert log[0] == ("UnpicklingError" if safe else "read")
    code = "import mpafer; mpafer.repair_dassl(); import dassl.utils as u; u.load_checkpoint('x')"
    missing = python(world, "-c", code, ok=False)
    assert "FileNotFoundError" in missing, "what is no fault of torch's default stays as it was"


def test_repair_clip_lets_the_checkouts_clip_take_paths(world, tmp_path):
    checkout = make_checkout(tmp_path / "checkout").parent
    code = """
import sys; sys.path.insert(0, sys.argv[1])
import torch, clip, mpafer
from clip import clip as theirs
assert theirs.__file__.startswith(sys.argv[1])
names = dict(theirs._MODELS)
{repair}
for name in (sys.argv[2], "tiny"):
    path = theirs._download(theirs._MODELS[name])
    state = torch.load(path, map_location="cpu")
    model = clip.model.build_model(state).float()
    ours = mpafer.load_clip(name)
    images = torch.randn(2, 3, ours.visual.image_size, ours.visual.image_size)
    difference = (model.encode_image(images) - ours.encode_image(images)).abs().max()
    assert difference < 1e-2, difference  # their build_model goes through float16
assert dict(theirs._MODELS) == names
try: theirs._MODELS["no such"]
except ValueError as error: print(error)
"""
    given = (checkout, world / "clip.safetensors")
    broken = python(world, "-c", code.replace("{repair}", ""), *given, ok=False)
    assert "KeyError" in broken, "the control"
    repair = "assert len(mpafer.repair_clip()) == 1 and mpafer.repair_clip() == []"
    assert "no CLIP named 'no such'" in python(world, "-c", code.replace("{repair}", repair), *given)


def test_repair_dassl_without_dassl():
    code = "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n, *a: None if n == 'dassl' else f(n, *a)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport mpafer\nmpafer.repair_dassl()"], capture_output=True, text=True
    )
    assert "ImportError: Dassl is not installed here; install it from https://" in done.stderr
