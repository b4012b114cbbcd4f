"""Checkpoint files: names, atomicity, reading; states of the random generators."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from support import toy as engine_toy

from mpafer.common import files
from mpafer.common.files import atomic_file
from mpafer.engine.checkpoint import (
    find_checkpoint,
    latest_epoch,
    load_checkpoint,
    prune_checkpoints,
    rng_state,
    save_checkpoint,
    saved_epochs,
    set_rng_state,
)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_file_names_are_dassls(tmp_path, capsys):
    folder = tmp_path / "prompt_learner"
    assert latest_epoch(folder) is None
    save_checkpoint({"epoch": 1}, folder, epoch=1)
    save_checkpoint({"epoch": 2}, folder, epoch=2, is_best=True)
    assert names(folder) == ["checkpoint", "model-best.pth.tar", "model.pth.tar-1", "model.pth.tar-2"]
    assert (folder / "checkpoint").read_text() == "model.pth.tar-2\n"
    assert load_checkpoint(folder / "model-best.pth.tar") == {"epoch": 2}
    assert f"Checkpoint saved to {folder}/model.pth.tar-1\n" in capsys.readouterr().out


def test_a_named_file_is_not_the_latest(tmp_path):
    save_checkpoint({"epoch": 1}, tmp_path, epoch=1)
    save_checkpoint({"epoch": 9}, tmp_path, epoch=9, model_name="model-best.pth.tar")
    assert latest_epoch(tmp_path) == 1
    assert find_checkpoint(tmp_path).name == "model-best.pth.tar"
    assert find_checkpoint(tmp_path, 1).name == "model.pth.tar-1"


def test_without_a_best_file_the_latest_is_found(tmp_path):
    for epoch in (1, 2):
        save_checkpoint({"epoch": epoch}, tmp_path, epoch=epoch)
    assert find_checkpoint(tmp_path).name == "model.pth.tar-2"
    (tmp_path / "model.pth.tar-2").unlink()
    assert find_checkpoint(tmp_path).name == "model.pth.tar-1"


def test_pruning_keeps_the_latest_and_the_chosen(tmp_path):
    for epoch in range(1, 8):
        save_checkpoint({}, tmp_path, epoch=epoch)
    with subprocess.Popen(["true"]) as ended:  # a number that no process has now
        pass
    (tmp_path / f".model.pth.tar-8.{files._host()}.{ended.pid}.tmp").write_bytes(b"half")
    prune_checkpoints(tmp_path, keep=lambda epoch: epoch % 3 == 0)
    assert saved_epochs(tmp_path) == [3, 6, 7]
    assert not list(tmp_path.glob("*.tmp")) and not list(tmp_path.glob(".*"))


def test_reading_errors_name_the_file_and_the_trouble(tmp_path):
    save_checkpoint({"value": torch.ones(1000)}, tmp_path, epoch=3)
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*model.pth.tar-4; .* holds model.pth.tar-3"):
        load_checkpoint(tmp_path / "model.pth.tar-4")
    path = tmp_path / "model.pth.tar-3"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(RuntimeError, match=r"model.pth.tar-3 \([\d,]+ bytes\) cannot be read"):
        load_checkpoint(path)
    path.write_bytes(b"")
    with pytest.raises(RuntimeError, match=r"model.pth.tar-3"):
        load_checkpoint(path)
    torch.save({"object": Path("anything")}, path)
    with pytest.raises(RuntimeError, match="more than the tensors and plain values"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "torn", [None, b"", b"\n", b"model.pth.tar-", b"model.pth.tar-1", b"model-best.pth.tar\n", b"model.pth.tar-\xff\0"]
)
def test_without_a_whole_pointer_the_newest_is_the_latest(tmp_path, torn):
    for epoch in (2, 9, 10):
        save_checkpoint({"epoch": epoch}, tmp_path, epoch=epoch)
    pointer = tmp_path / "checkpoint"
    pointer.write_text("model.pth.tar-9\n")
    assert latest_epoch(tmp_path) == 9  # control: a whole one is followed
    pointer.unlink() if torn is None else pointer.write_bytes(torn)
    assert latest_epoch(tmp_path) == 10 and find_checkpoint(tmp_path).name == "model.pth.tar-10"
    prune_checkpoints(tmp_path, keep=lambda epoch: False)
    assert saved_epochs(tmp_path) == [10]


def test_what_others_are_writing_is_left_alone(tmp_path):
    with subprocess.Popen(["sleep", "60"]) as other:
        writing = [
            tmp_path / f".a.{files._host()}.{other.pid}.tmp",  # a process of this machine
            tmp_path / f".b.{files._host()}.{os.getpid()}.tmp",
            tmp_path / ".c.elsewhere.1.tmp",  # one of another
        ]
        left = tmp_path / ".d.elsewhere.1.tmp"
        for path in (*writing, left):
            path.write_bytes(b"half")
        os.utime(left, (time.time() - 2 * files.LEFT,) * 2)
        prune_checkpoints(tmp_path, keep=lambda epoch: False)
        assert all(path.exists() for path in writing) and not left.exists()
        other.kill()
        other.wait()
        prune_checkpoints(tmp_path, keep=lambda epoch: False)
        assert [path.exists() for path in writing] == [False, True, True]


def test_a_full_disk_under_a_checkpoint_is_the_systems_error(tmp_path, monkeypatch):
    """torch.save turns it into a RuntimeError about positions in the file."""

    @contextlib.contextmanager
    def full(path):
        with open("/dev/full", "wb", 0) as file:
            yield file

    monkeypatch.setattr("mpafer.engine.checkpoint.atomic_file", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint({"state_dict": {"w": torch.zeros(3)}}, tmp_path, epoch=1)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="disk"), atomic_file(path) as file:
        file.write(b"new")
        raise RuntimeError("disk")
    assert names(tmp_path) == ["file"] and path.read_bytes() == b"old"
    with atomic_file(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


def draw() -> list[float]:
    return [random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), float(torch.rand(()))]


def test_random_states_survive_a_checkpoint(tmp_path):
    draw()  # leaves half of a Gaussian pair in NumPy's generator
    path = save_checkpoint({"rng": rng_state()}, tmp_path, epoch=1)
    first, second = draw(), draw()
    assert first != second
    set_rng_state(load_checkpoint(path)["rng"])
    assert draw() == first


def test_sigkill_at_any_moment_leaves_a_whole_latest_checkpoint(tmp_path):
    context = engine_toy.processes()
    rng = random.Random(0)
    reached = 0
    for attempt in range(6):
        folder = tmp_path / str(attempt)
        process = context.Process(target=engine_toy.save_forever, args=(folder,))
        process.start()
        while latest_epoch(folder) is None:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.08))
        process.kill()
        process.join()
        epoch = latest_epoch(folder)
        assert (load_checkpoint(find_checkpoint(folder))["value"] == epoch).all()
        prune_checkpoints(folder, keep=lambda epoch: False)
        assert names(folder) == ["checkpoint", f"model.pth.tar-{epoch}"]
        reached = max(reached, epoch or 0)
    assert reached > 1  # at least one was killed in the middle of the series
