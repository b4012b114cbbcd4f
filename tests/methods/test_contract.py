"""The same contract for every registered method, with its shipped tiny.yaml on the tiny CLIP: no entry can escape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.models import CLASSES
from support.runs import interrupt, make_trainer, tiny_options
from yacs.config import CfgNode

import mpafer
from mpafer.common.errors import UserError
from mpafer.prompting.precision import PRECISIONS
from mpafer.run_config import methods
from mpafer.trainers.base import PromptTrainer
from mpafer.trainers.promptsrc import PromptSRC

METHODS = methods()  # those from elsewhere too: MPAFER_IMPORT=my_method.py pytest tests/methods/test_contract.py
LEARNING = sorted(name for name, method in METHODS.items() if method.learns)
DEEP = [name for name, method in METHODS.items() if method.case.too_deep]


@pytest.fixture(scope="module")
def tiny() -> Any:
    return mpafer.load_clip("tiny")


@pytest.mark.parametrize("classes", [7, 8])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("method", METHODS)
def test_one_step(cfg: CfgNode, tiny: Any, method: str, precision: str, classes: int) -> None:
    torch.manual_seed(0)
    names = [*CLASSES, "contempt"][:classes]
    model = mpafer.build_model(method, tiny, names, **tiny_options(cfg, method) | {"prec": precision})
    frozen = {key: value.clone() for key, value in model.clip.state_dict().items()}
    before = {key: value.detach().clone() for key, value in model.learnable.items()}
    images, labels = torch.randn(classes + 1, 3, 96, 96), torch.arange(classes + 1) % classes
    out = model(images)
    assert METHODS[method].class_prompts == (out.embeddings is not None) == (out.eot is not None)
    losses = model.losses(out, labels)
    assert out.logits.shape == (classes + 1, classes) and out.logits.dtype == torch.float32
    assert all(torch.isfinite(loss) for loss in losses.values()) and out.logits.isfinite().all()
    assert bool(model.learnable) == (method in LEARNING)
    if model.learnable:
        torch.stack(list(losses.values())).sum().backward()
        torch.optim.SGD(model.learnable.values(), lr=0.01).step()
    with_gradient = {key for key, value in model.named_parameters() if value.grad is not None}
    assert with_gradient == {f"prompts.{key}" for key in model.learnable}
    assert all(value.isfinite().all() and not torch.equal(before[key], value) for key, value in model.learnable.items())
    assert all(value.dtype == torch.float32 for value in model.learnable.values())
    assert all(torch.equal(frozen[key], value) for key, value in model.clip.state_dict().items())


@pytest.mark.parametrize("method", METHODS)
def test_evaluation_equals_the_training_forward_and_follows_every_prompt(cfg: CfgNode, tiny: Any, method: str) -> None:
    model = mpafer.build_model(method, tiny, CLASSES, **tiny_options(cfg, method))
    images = torch.randn(3, 3, 96, 96)
    with_grad = model(images).logits
    with torch.no_grad():
        torch.testing.assert_close(model(images).logits, with_grad, atol=1e-4, rtol=0)
        for name, value in model.learnable.items():  # nothing kept for evaluation survives a change of the prompts
            before = model(images).logits
            value += torch.randn_like(value)
            assert (model(images).logits - before).abs().max() > 1e-4, name


def train(trainer: Any) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """Learned values and test scores of a finished training."""
    trainer.train()
    prompts = {key: value.detach().clone() for key, value in trainer.model.learnable.items()}
    return prompts, np.load(Path(trainer.output_dir) / "scores.npz")["scores"]


@pytest.mark.parametrize("method", LEARNING)
def test_a_run_resumes_loads_and_refuses(world: Path, tmp_path: Path, method: str) -> None:
    whole = make_trainer(world, tmp_path / "whole", method)
    prompts, scores = train(whole)
    resumed = make_trainer(world, tmp_path / "resumed", method)
    if whole.max_epoch > 1:
        interrupt(resumed, 2)
        resumed = make_trainer(world, tmp_path / "resumed", method)
    again, same = train(resumed)
    assert np.array_equal(scores, same) and all(torch.equal(prompts[key], again[key]) for key in prompts)

    loaded = make_trainer(world, tmp_path / "loaded", method)
    loaded.load_model(str(tmp_path / "whole"))
    loaded.test()
    assert np.array_equal(loaded.predictions.scores.numpy(), scores)
    (checkpoint,) = (tmp_path / "whole/prompts").glob("model.pth.tar-*")
    state = torch.load(checkpoint, weights_only=True)
    assert state["state_dict"].keys() == prompts.keys()
    assert checkpoint.stat().st_size < 4 * sum(value.numel() for value in prompts.values()) * 2 + 40_000

    fewer = make_trainer(world, tmp_path / "fewer", method, **{"DATASET.SUBSAMPLE_CLASSES": "base"})
    if fewer.bound_by:
        with pytest.raises(UserError, match=f"another classnames: .* what {method} learns belongs to the classes"):
            fewer.load_model(str(tmp_path / "whole"))
    else:
        fewer.load_model(str(tmp_path / "whole"))
        assert all(torch.equal(value, prompts[key]) for key, value in fewer.model.learnable.items())
    refused: list[tuple[dict[str, Any], str]] = [
        ({"MODEL.BACKBONE.NAME": str(world / "clip.safetensors"), "INPUT.SIZE": "(32, 32)"}, "is of another backbone"),
    ]
    node = f"TRAINER.{METHODS[method].node}"
    for key, value in METHODS[method].case.reshaped.items():
        refused.append(({f"{node}.{key.upper()}": value}, "is of another shapes"))
    for changed, message in refused:
        if "MODEL.BACKBONE.NAME" in changed and "PROMPT_DEPTH_VISION" in METHODS[method].Options().node():
            changed[f"{node}.PROMPT_DEPTH_VISION"] = 2  # its towers have two layers
        with pytest.raises(UserError, match=message):
            make_trainer(world, tmp_path / "other", method, **changed).load_model(str(tmp_path / "whole"))


@pytest.mark.parametrize("method", LEARNING)
def test_a_method_says_whether_what_it_learns_belongs_to_classes(cfg: CfgNode, tiny: Any, method: str) -> None:
    """It does exactly where its shape depends on their number, as a class that is new has no row there."""
    own, bound = tiny_options(cfg, method), METHODS[method].per_class
    cases = [(own, bound)] if isinstance(bound, bool) else [(own | {bound.lower(): on}, on) for on in (False, True)]
    for chosen, belongs in cases:
        shapes = [
            {key: value.shape for key, value in mpafer.build_model(method, tiny, names, **chosen).learnable.items()}
            for names in (CLASSES, CLASSES[:3])
        ]
        assert (shapes[0] != shapes[1]) == belongs


@pytest.mark.parametrize("method", METHODS)
def test_a_method_brings_its_case(method: str) -> None:
    """Options that shape the prompts are tried with other values, and depths with one layer too many."""
    case, options = METHODS[method].case, {key.lower() for key in METHODS[method].Options().node()}
    shaping = {
        key for key in options if key.startswith(("n_ctx", "ctx_init", "n_visual", "prompt_depth", "visual_depth"))
    }
    assert case.reshaped.keys() <= options and bool(case.reshaped) >= bool(shaping)
    assert bool(case.too_deep) == any("depth" in key for key in options)


@pytest.mark.parametrize("method", DEEP)
def test_deeper_than_the_tower(cfg: CfgNode, tiny: Any, method: str) -> None:
    assert METHODS[method].case.too_deep
    key, depth = METHODS[method].case.too_deep
    with pytest.raises(ValueError, match=f"{key.upper()} is {depth}, but tiny has {depth - 1} layers"):
        mpafer.build_model(method, tiny, CLASSES, **tiny_options(cfg, method) | {key: depth})


def test_the_average_is_part_of_what_a_run_resumes(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"TRAINER.PROMPTSRC.GPA_MEAN": 1.0, "TRAINER.PROMPTSRC.GPA_STD": 1.0}
    trainer = make_trainer(world, tmp_path / "whole", "PromptSRC", **settings)
    seen: list[dict[str, torch.Tensor]] = []
    update = trainer.average.update
    monkeypatch.setattr(trainer.average, "update", lambda epoch: (
        update(epoch), seen.append({key: value.detach().clone() for key, value in trainer.model.learnable.items()})
    ))  # fmt: skip
    prompts, scores = train(trainer)
    density = np.exp(-0.5 * (np.arange(1, 4) - 1.0) ** 2)
    for key, value in prompts.items():
        expected = sum(float(w) * epoch[key] for w, epoch in zip(density / density.sum(), seen, strict=True))
        torch.testing.assert_close(value, expected)
        assert not torch.allclose(value, seen[-1][key], atol=1e-6)
    forgetful = make_trainer(world, tmp_path / "resumed", "PromptSRC", **settings)
    interrupt(forgetful, 2)
    forgetful = make_trainer(world, tmp_path / "resumed", "PromptSRC", **settings)
    monkeypatch.setattr(PromptSRC, "load_extra_state", PromptTrainer.load_extra_state)
    assert not np.array_equal(train(forgetful)[1], scores)  # control: without the average the result is another
