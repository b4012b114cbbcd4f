"""The repairs that a user asks for, on the stand-in of Dassl and a checkout (standin.py), each beside its control."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.foreign import any_clip, open_clip_config, write
from support.models import random_clip
from support.standin import copy_clip, foreign_packages, has_dassl, make_dassl, rates
from torch.optim.lr_scheduler import CosineAnnealingLR

import mpafer
from mpafer.clip.sizes import OPENAI
from mpafer.common.errors import MissingPackageError


@pytest.fixture
def dassl(tmp_path: Path) -> Iterator[None]:
    """The stand-in of Dassl can be imported, unrepaired."""
    with foreign_packages(make_dassl(tmp_path / "installed")):
        yield


def build() -> tuple[torch.optim.Optimizer, Any]:
    """An optimiser, and Dassl's schedule of it: two epochs of warm-up, then a cosine."""
    optim = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
    warmup = import_module("dassl.optim.lr_scheduler").ConstantWarmupScheduler
    return optim, warmup(optim, CosineAnnealingLR(optim, 8), 2, 1e-3)


@pytest.mark.usefixtures("dassl")
def test_schedules_start_and_resume(tmp_path: Path) -> None:
    with pytest.raises(TypeError):  # control: nothing is repaired by itself
        build()
    lines = mpafer.repair_dassl()
    assert mpafer.repair_dassl() == [] and len(lines) == 2
    assert "warm-up schedules" in lines[0] and "load_checkpoint" in lines[1]
    whole = rates(*build(), 8)
    assert len(set(whole)) == 7 and whole[0] == whole[1] == 1e-3
    optim, sched = build()
    first = rates(optim, sched, 4)
    torch.save({"optimizer": optim.state_dict(), "scheduler": sched.state_dict()}, tmp_path / "file")
    saved = import_module("dassl.utils").load_checkpoint(tmp_path / "file")
    optim, sched = build()
    optim.load_state_dict(saved["optimizer"])
    sched.load_state_dict(saved["scheduler"])
    assert first + rates(optim, sched, 4) == whole


@pytest.mark.usefixtures("dassl")
def test_files_of_unrepaired_runs_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their schedules lie there as objects; every module that took load_checkpoint by name has the repaired one."""
    tools, utils = import_module("dassl.utils.torchtools"), import_module("dassl.utils")
    taker: Any = ModuleType("taker")
    taker.load_checkpoint = broken = utils.load_checkpoint
    monkeypatch.setitem(sys.modules, "taker", taker)
    optim = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    successor = CosineAnnealingLR(optim, 8)
    rates(optim, successor, 3)
    state = {"successor": successor, "warmup_epoch": 2, "last_epoch": 2}
    torch.save({"scheduler": state}, tmp_path / "file")
    with pytest.raises(Exception, match="weights_only"):  # control
        broken(tmp_path / "file")
    mpafer.repair_dassl()
    assert taker.load_checkpoint is tools.load_checkpoint is utils.load_checkpoint is not broken
    new, sched = build()
    sched.load_state_dict(tools.resume(tmp_path / "file")["scheduler"])
    assert sched.successor.last_epoch == 3 and sched.successor.optimizer is new
    with pytest.raises(FileNotFoundError):  # what is no fault of torch's default stays as it was
        utils.load_checkpoint(tmp_path / "no such file")


def test_the_checkouts_clip_takes_paths(tmp_path: Path) -> None:
    copy_clip(tmp_path / "checkout" / "clip")
    path = tmp_path / "clip.safetensors"
    save_file({key: value.contiguous() for key, value in random_clip().openai_state_dict().items()}, path)
    with foreign_packages(tmp_path / "checkout"):
        theirs, model = import_module("clip.clip"), import_module("clip.model")
        assert str(theirs.__file__).startswith(str(tmp_path))
        names = dict(theirs._MODELS)
        with pytest.raises(KeyError):  # control
            theirs._MODELS[str(path)]
        assert len(mpafer.repair_clip()) == 1 and mpafer.repair_clip() == []
        for name in (str(path), "tiny"):
            state = torch.load(theirs._download(theirs._MODELS[name]), map_location="cpu")
            built, ours = model.build_model(state).float(), mpafer.load_clip(name)
            images = torch.randn(2, 3, ours.visual.image_size, ours.visual.image_size)
            difference = (built.encode_image(images) - ours.encode_image(images)).abs().max()
            assert difference < 1e-2  # their build_model goes through float16
        state = any_clip((OPENAI, OPENAI)).openai_state_dict()
        plain = write(tmp_path / "plain", "clip.pt", state, open_clip_config=open_clip_config())
        with pytest.raises(ValueError, match=r"has gelu and .* but a checkout's own CLIP computes quickgelu"):
            theirs._MODELS[plain]
        assert dict(theirs._MODELS) == names
        with pytest.raises(ValueError, match="no CLIP named 'no such'"):
            theirs._MODELS["no such"]


@pytest.mark.parametrize("folder", [False, True])
def test_without_dassl_there_is_nothing_to_repair(folder: bool, tmp_path: Path) -> None:
    """Nor where a folder of that name lies beside us: a clone of Dassl is one, with the package inside."""
    if folder:
        if has_dassl():
            pytest.skip("Dassl is installed here")
        (tmp_path / "dassl").mkdir()
    with foreign_packages(tmp_path):
        if not folder:
            sys.modules["dassl"] = None  # type: ignore[assignment]
        with pytest.raises(MissingPackageError, match="Dassl is not installed here; install it from https://"):
            mpafer.repair_dassl()
