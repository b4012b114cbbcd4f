"""The launcher and the two lines, on the stand-in of Dassl and of a checkout (standin.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from support.commands import run_command
from support.miniatures_fer import make_ckplus
from support.runs import REPO, arguments, environment, make_world, results, scores, train_in_process
from support.standin import foreign_packages, make_checkout, make_dassl, write_files

import mpafer

PLUG = "mpafer.plug"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = make_world(tmp_path_factory.mktemp("world"))
    make_dassl(world / "installed")
    return world


@pytest.fixture
def installed(world: Path) -> Iterator[None]:
    """The stand-in of Dassl can be imported, and nobody has done so."""
    with foreign_packages(world / "installed"):
        yield


def flags(world: Path, out: Path, trainer: str = "MPAFER") -> list[str]:
    """What follows train.py in a command of a runner on Dassl, which reads the flat configs."""
    return [word.replace("/configs/", "/configs/dassl/") for word in arguments(world, out, trainer=trainer)[1:]]


@pytest.fixture(scope="module")
def own(world: Path) -> np.ndarray:
    """Scores of the same run in our own runner, with the input path that runs on Dassl have."""
    train_in_process(world, world / "own", **{"DATALOADER.FAST": "False"})
    return scores(world / "own")


# --- what importing does


def test_importing_has_no_side_effect(world: Path) -> None:
    """Whatever started Python, and where Dassl is imported already."""
    code = """
import sys
from dassl.engine import TRAINER_REGISTRY
from dassl.data.datasets import DATASET_REGISTRY
for words in (["train.py", "--trainer", "MPAFER"], ["plug.py", "train.py"], ["-m"], ["-c"], [""]):
    for name in [name for name in sys.modules if name.split(".")[0] == "mpafer"]:
        del sys.modules[name]
    sys.argv, path = words, list(sys.path)
    import mpafer
    assert not TRAINER_REGISTRY and not DATASET_REGISTRY and sys.path == path
print(*sorted({"torch", "clip", "datasets", "trainers", "yaml"} & sys.modules.keys()), "imported")
mpafer.load_clip
assert "torch" in sys.modules, "the control"
"""
    variables = os.environ | {"PYTHONPATH": str(world / "installed")}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("imported\n", "")


def test_our_own_runner_looks_for_no_dassl(world: Path, tmp_path: Path) -> None:
    write_files(tmp_path / "installed/dassl", {"__init__.py": "raise RuntimeError('somebody imports dassl')"})
    with foreign_packages(tmp_path / "installed"):
        train_in_process(world, tmp_path / "run", **{"OPTIM.MAX_EPOCH": 1})
        assert "dassl" not in sys.modules
        assert results(tmp_path / "run")["engine"]["name"] == "mpafer"
        with pytest.raises(RuntimeError, match="somebody imports dassl"):  # control
            import_module("dassl")


# --- extend_cfg


@pytest.mark.usefixtures("installed")
def test_extend_cfg_adds_keys_and_registers() -> None:
    """Twice is harmless; what is there already, key or name, stays as it is."""
    cfg = import_module("dassl.config").get_cfg_default()
    trainers = import_module("dassl.engine").TRAINER_REGISTRY
    datasets = import_module("dassl.data.datasets").DATASET_REGISTRY
    theirs = datasets.register(type("RAFDB", (), {}))
    assert "FAST" not in cfg.DATALOADER and "FOLD" not in cfg.DATASET, "the control"
    cfg.TRAIN.COMPILE = "theirs"
    mpafer.extend_cfg(cfg)
    whole, registered = cfg.dump(), (dict(trainers), dict(datasets))
    mpafer.extend_cfg(cfg)
    assert cfg.dump() == whole and (dict(trainers), dict(datasets)) == registered
    assert list(trainers) == ["MPAFER"] and trainers["MPAFER"].__name__ == "MPAFER"
    assert datasets["RAFDB"] is theirs and {"FER2013", "SketchFER"} <= datasets.keys()
    assert cfg.TRAIN.COMPILE == "theirs" and cfg.DATALOADER.FAST is False and cfg.TRAINER.MPAFER.N_CTX == 10
    assert list(cfg.TRAINER) == ["NAME", "MPAFER"] and cfg.DATASET.FOLD == 0


def test_extend_cfg_needs_no_dassl(world: Path) -> None:
    """On a tree like Dassl's, where Dassl itself is not imported: keys only."""
    with foreign_packages(world / "installed"):
        cfg = import_module("dassl.config").get_cfg_default()
    with foreign_packages():
        mpafer.extend_cfg(cfg)
        assert cfg.TRAINER.MPAFER.N_CTX == 10 and "dassl" not in sys.modules


# --- runs


@pytest.mark.usefixtures("installed")
def test_two_lines_in_a_runner(world: Path, own: np.ndarray, tmp_path: Path) -> None:
    runner = make_checkout(tmp_path / "checkout", two_lines=True)
    log = run_command(str(runner), *flags(world, tmp_path / "run"))
    assert "theirs checkout checkout checkout" in log
    np.testing.assert_array_equal(scores(tmp_path / "run"), own)
    assert results(tmp_path / "run")["engine"]["name"] == "dassl"


def test_the_launcher_leaves_the_runner_as_it_is(world: Path, own: np.ndarray, tmp_path: Path) -> None:
    """From our own folder, whose `datasets` and `trainers` must not answer to the runner's imports."""
    runner = make_checkout(tmp_path / "checkout")
    text = runner.read_text()
    command = [sys.executable, "-m", PLUG, str(runner), *flags(world, tmp_path / "run")]
    variables = environment(world) | {"PYTHONPATH": str(world / "installed")}
    done = subprocess.run(command, env=variables, cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "theirs checkout checkout checkout" in done.stdout and runner.read_text() == text
    np.testing.assert_array_equal(scores(tmp_path / "run"), own)


@pytest.mark.usefixtures("installed")
def test_without_us_the_runner_knows_no_such_method(world: Path, tmp_path: Path) -> None:
    """The control of the two above."""
    runner = make_checkout(tmp_path / "checkout")
    with pytest.raises(KeyError, match="MPAFER"):
        run_command(str(runner), *flags(world, tmp_path / "run"))


@pytest.mark.usefixtures("installed")
def test_the_checkouts_names_stay_its_own(world: Path, tmp_path: Path) -> None:
    """Its CoOp, its node of it, and a data set that it calls as one of ours."""
    runner = make_checkout(tmp_path / "checkout", own_rafdb=True)
    words = flags(world, tmp_path / "run", "CoOp")
    words[words.index("--config-file") + 1] = ""  # their node lacks what our CoOp's YAML sets
    log = run_command(PLUG, str(runner), *words)
    assert "this is the checkout's CoOp" in log and "nodes NAME MPAFER COOP\n" in log
    datasets = import_module("dassl.data.datasets").DATASET_REGISTRY
    assert datasets["RAFDB"].__module__ == "datasets.pets" and datasets["FERPlus"].__module__.startswith("mpafer.")


@pytest.mark.usefixtures("installed")
def test_one_of_several_processes_writes_the_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_files(tmp_path, {"train.py": "import sys, dassl.utils; dassl.utils.setup_logger(sys.argv[1])"})
    utils = import_module("dassl.utils")
    monkeypatch.setattr(utils, "setup_logger", utils.setup_logger)  # put back between the two
    run_command(PLUG, str(tmp_path / "train.py"), str(tmp_path / "first"))
    monkeypatch.setenv("RANK", "1")
    run_command(PLUG, str(tmp_path / "train.py"), str(tmp_path / "second"))
    assert (tmp_path / "first/log.txt").is_file() and not (tmp_path / "second").exists()


@pytest.mark.usefixtures("installed")
def test_launcher_messages(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(PLUG, "--configs").strip() == str(REPO / "configs/dassl")
    with pytest.raises(SystemExit, match=r"^error: .*name the train.py of a CoOp"):
        run_command(PLUG, str(tmp_path / "train.py"))
    for words, printed in (((), "name the checkout's train.py"), (("--repair", "train.py"), "ambiguous option")):
        with pytest.raises(SystemExit, match="2"):
            run_command(PLUG, *words)
        assert printed in capsys.readouterr().err
    runner = make_checkout(tmp_path / "checkout")
    with pytest.raises(SystemExit, match=r"^error: TOP_K is 1000"):
        run_command(PLUG, str(runner), *flags(world, tmp_path / "run"), "TRAINER.MPAFER.TOP_K", "1000")


@pytest.mark.usefixtures("installed")
def test_what_fails_in_their_code_keeps_its_traceback(world: Path, tmp_path: Path) -> None:
    runner = make_checkout(tmp_path / "checkout")
    (tmp_path / "checkout/trainers/theirs.py").write_text("open('/no/such/file of theirs')")
    with pytest.raises(FileNotFoundError, match="/no/such/file of theirs"):
        run_command(PLUG, str(runner), *flags(world, tmp_path / "run"))


def test_the_launcher_names_a_dassl_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_files(tmp_path, {"train.py": ""})
    with foreign_packages():
        monkeypatch.setitem(sys.modules, "dassl", None)
        with pytest.raises(SystemExit, match=r"^error: Dassl is not installed here; install it from https://"):
            run_command(PLUG, str(tmp_path / "train.py"))


@pytest.mark.usefixtures("installed")
def test_a_test_set_trains_nobody(world: Path) -> None:
    """A method of the checkout that asks for training images of CK+ gets the reason, not the test images."""
    make_ckplus(world / "data")
    cfg = import_module("dassl.config").get_cfg_default()
    mpafer.extend_cfg(cfg)
    cfg.DATASET.ROOT, cfg.DATASET.NAME = str(world / "data"), "CKPlus"
    train = import_module("dassl.data.datasets").build_dataset(cfg).train_x
    with pytest.raises(FileNotFoundError) as refused:  # as Dassl reads images
        Path(train[0].impath).read_bytes()
    assert "CKPlus has no training images here, it is a test set: DATASET.FOLD, 1 to 10" in str(refused.value)
