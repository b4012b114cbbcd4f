"""Every baseline against its upstream trainer, by the numbers in golden/ (golden/README.md says how they came about).

In float32, everything must agree to 1e-4: logits, gradients and updates of the learnables relative to the largest
element (sums over a whole tensor: to its norm), loss terms relative to the whole loss. An update is what three
optimiser steps changed, so no difference hides behind the start.
"""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from math import inf
from pathlib import Path
from typing import Any

import pytest
import torch
from golden.cases import CASES, NAMES, OPTIM, STEPS, Case, batch, clip_state, difference, digest, start

import mpafer
from mpafer.clip import Clip
from mpafer.common.defaults import default_config
from mpafer.engine.optim import build_optimizer
from mpafer.engine.schedule import build_lr_scheduler
from mpafer.prompting.averaging import GaussianAverage
from mpafer.trainers import METHODS

GOLDEN = Path(__file__).parent.parent / "golden"
TOLERANCE = 1e-4
ALL = [(method, name) for method, cases in CASES.items() for name in cases]
# method -> case, and the options that differ; each must show in the numbers
CONTROLS: list[tuple[str, str, dict[str, Any]]] = [
    ("CoOp", "front", {"class_token_position": "middle"}),
    ("CoOp", "middle_odd", {"class_token_position": "end"}),
    ("CoOp", "words", {"ctx_init": "a photo of the"}),
    ("CoCoOp", "words", {"ctx_init": "a picture of a"}),
    ("VPT", "deep", {"ctx_init": "a photo of"}),
    ("VPT", "deep", {"prompt_depth_vision": 2}),
    ("IVLP", "words", {"ctx_init": "a photo of the"}),
    ("IVLP", "deeper_vision", {"prompt_depth_vision": 3}),
    ("IVLP", "deeper_text", {"prompt_depth_text": 1}),
    ("MaPLe", "words", {"ctx_init": "a photo of the"}),
    ("MaPLe", "words", {"prompt_depth": 2}),
    ("KgCoOp", "random", {"w": 7.0}),
    ("KgCoOp", "random", {"template": "a photo of a {name}."}),
    ("PromptSRC", "words", {"templates": "select"}),
    ("PromptSRC", "deeper_vision", {"text_loss_weight": 24}),
    ("PromptSRC", "deeper_text", {"gpa_mean": 14}),
    ("ZeroshotCLIP", "pet", {"template": "a photo of {name}, a type of pet."}),
    ("ZeroshotCLIP2", "food", {"template": "a photo of a {name}."}),
    ("ZeroshotCLIP2", "food", {"templates": "imagenet"}),
]


@cache
def golden(method: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{method.lower()}.json").read_text())


@cache
def clip(size: str) -> Clip:
    return Clip.from_state_dict(clip_state(size))


def compute(method: str, case: Case, nudge: str = "") -> dict[str, Any]:
    """What the golden file holds, by our code; ``nudge`` names a learnable that starts 1e-2 off.

    It is one element of a prompt or bias, one row of a matrix.
    """
    model = mpafer.build_model(method, clip(case.size), NAMES[case.names], **case.options)
    images, labels = batch(case)
    learnable: dict[str, Any] = model.learnable
    with torch.no_grad():
        for name, parameter in learnable.items():
            if not (case.words and name == "text.ctx"):
                parameter.copy_(start(case, name, tuple(parameter.shape)))
            if name == nudge:
                (parameter[0] if name.endswith("weight") else parameter.view(-1)[:1]).add_(1e-2)
    model.eval()
    with torch.no_grad():
        found: dict[str, Any] = {"logits": model(images).logits}
    if not learnable:
        return found
    before = {name: parameter.detach().clone() for name, parameter in learnable.items()}
    optim = default_config().OPTIM
    optim.update(OPTIM | case.optim)
    optimizer = build_optimizer(model.prompts, optim)
    scheduler = build_lr_scheduler(optimizer, optim)
    options = case.options
    average = GaussianAverage(
        model.prompts, epochs=optim.MAX_EPOCH, mean=options.get("gpa_mean", 1), std=options.get("gpa_std", 1)
    )
    model.train()
    for epoch in range(optim.MAX_EPOCH):
        optimizer.zero_grad()
        losses = model.losses(model(images), labels)
        total = torch.stack(list(losses.values())).sum()
        total.backward()
        if epoch == 0:
            found["losses"] = {name: loss.item() for name, loss in (losses | {"total": total}).items()}
            found["gradients"] = {name: digest(parameter.grad) for name, parameter in learnable.items()}
        optimizer.step()
        scheduler.step()
        average.update(epoch)
        if epoch == STEPS - 1:
            found["updates"] = {name: digest(parameter - before[name]) for name, parameter in learnable.items()}
    if method == "PromptSRC":
        found["average"] = {name: digest(value - before[name]) for name, value in average.average().items()}
    return found


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    """Largest difference of each quantity, in the units the head of this file gives; inf where names differ."""
    expected = torch.tensor(theirs["logits"])
    found = {"logits": float((ours["logits"] - expected).abs().max() / expected.abs().max())}
    if "losses" in theirs:
        losses, golden_losses = ours["losses"], theirs["losses"]
        assert losses.keys() == golden_losses.keys()
        off = max(abs(losses[name] - golden_losses[name]) for name in losses)
        found["losses"] = off / abs(golden_losses["total"])
    for kind in ("gradients", "updates", "average"):
        if kind in theirs:
            same = ours[kind].keys() == theirs[kind].keys()
            found[kind] = max(
                difference(ours[kind][name], theirs[kind][name]) if same else inf for name in theirs[kind]
            )
    return found


def test_golden_files_are_of_these_cases() -> None:
    """A changed case needs a new golden file."""
    for method, cases in CASES.items():
        content = golden(method)
        assert content["optim"] == OPTIM and content["cases"].keys() == cases.keys()
        for name, case in cases.items():
            kept = content["cases"][name]
            assert kept["names"] == NAMES[case.names] and kept["size"]["name"] == case.size
            fields = ("options", "seed", "words", "dataset", "optim")
            assert [kept[field] for field in fields] == [getattr(case, field) for field in fields]


@pytest.mark.parametrize(("method", "name"), ALL)
def test_equals_upstream(method: str, name: str) -> None:
    found = differences(compute(method, CASES[method][name]), golden(method)["cases"][name])
    print(method, name, found)
    assert max(found.values()) <= TOLERANCE, found


@pytest.mark.parametrize(("method", "name", "options"), CONTROLS)
def test_other_options_are_seen(method: str, name: str, options: dict[str, Any]) -> None:
    """Control: the comparison is sharp enough to tell options apart."""
    case = CASES[method][name]
    other = dataclasses.replace(case, options=case.options | options)
    found = differences(compute(method, other), golden(method)["cases"][name])
    print(method, name, options, found)
    assert max(found.values()) > 10 * TOLERANCE, found


@pytest.mark.parametrize("method", [method for method in CASES if METHODS[method].learns])
def test_other_starts_are_seen(method: str) -> None:
    """Control: a slightly other start of any learnable shows in the numbers."""
    name, case = next((name, case) for name, case in CASES[method].items() if case.size == "B")
    kept = golden(method)["cases"][name]
    for nudged in kept["gradients"]:
        found = differences(compute(method, case, nudged), kept)
        print(method, name, nudged, found)
        assert max(found.values()) > 10 * TOLERANCE, (nudged, found)


@pytest.mark.parametrize(
    "optim",
    [{"MOMENTUM": 0.89}, {"WEIGHT_DECAY": 4.0}, {"WARMUP_CONS_LR": 2e-5}, {"WARMUP_EPOCH": 2}, {"MAX_EPOCH": 5}],
    ids=str,
)
def test_other_optimisers_are_seen(optim: dict[str, Any]) -> None:
    """Control: another step or schedule shows in the updates."""
    case = CASES["CoOp"]["end"]
    found = differences(
        compute("CoOp", dataclasses.replace(case, optim=case.optim | optim)), golden("CoOp")["cases"]["end"]
    )
    print(optim, found)
    assert found["gradients"] <= TOLERANCE and found["updates"] > 10 * TOLERANCE, found
