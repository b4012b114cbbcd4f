"""On a CUDA device (``make test ARGS="-m gpu"``): the same numbers as on the CPU, and every precision trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.models import CLASSES, random_clip
from support.runs import make_world, prompts, run, scores

import mpafer
from mpafer.engine.models import TrainedModels

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


def test_float32_logits_are_those_of_the_cpu() -> None:
    images = torch.randn(4, 3, 32, 32)
    model = mpafer.build_model("MPAFER", random_clip(), CLASSES)
    with torch.no_grad():
        expected = model(images).logits
        found = model.cuda()(images.cuda()).logits.cpu()
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "amp", "bf16"])
def test_every_precision_trains(precision: str, tmp_path: Path) -> None:
    world = make_world(tmp_path)
    finished = run(world, tmp_path / "out", **{"TRAINER.MPAFER.PREC": precision})
    assert finished.returncode == 0, finished.stderr
    assert np.isfinite(scores(tmp_path / "out")).all()
    assert all(tensor.isfinite().all() for tensor in prompts(tmp_path / "out").values())


def test_a_step_does_not_wait_for_the_device() -> None:
    models = TrainedModels()
    model = mpafer.build_model("MPAFER", random_clip(), CLASSES, prec="bf16").cuda()
    models.register_model("prompts", model.prompts, torch.optim.SGD(model.learnable.values(), lr=1e-3))
    images, labels = torch.randn(4, 3, 32, 32).cuda(), torch.arange(4).cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        losses = model.losses(model(images), labels)
        models.model_backward_and_update(torch.stack(list(losses.values())).sum(), terms=losses)
        with pytest.raises(RuntimeError):  # control: this does wait
            losses["ce_loss"].item()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    models.num_batches = models.max_epoch = 1
    models.check_losses()


def test_checkpointing_takes_less_memory_for_the_same_loss() -> None:
    model = mpafer.build_model("MPAFER", random_clip(layers=6), CLASSES, prec="bf16").cuda()
    images, labels, found = torch.randn(64, 3, 32, 32).cuda(), torch.arange(64).cuda() % 7, []
    for again in (False, False, True):  # the first warms up: libraries take memory of their own
        model.clip.checkpoint_activations(again)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        loss = torch.stack(list(model.losses(model(images), labels).values())).sum()
        loss.backward()
        found.append((loss.item(), torch.cuda.max_memory_allocated() - before))
    (_, (loss, kept), (loss_again, less)) = found
    assert loss_again == pytest.approx(loss, rel=1e-5) and less < 0.75 * kept
