"""On a CUDA device (``make test ARGS="-m gpu"``): the same numbers as on the CPU, and every precision trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.models import CLASSES, random_clip
from support.runs import make_trainer, make_world, prompts, scores, train_in_process

import mpafer

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
    train_in_process(world, tmp_path / "out", **{"TRAINER.MPAFER.PREC": precision})
    assert np.isfinite(scores(tmp_path / "out")).all()
    assert all(tensor.isfinite().all() for tensor in prompts(tmp_path / "out").values())


def test_a_step_does_not_wait_for_the_device(tmp_path: Path) -> None:
    world = make_world(tmp_path, train=1)
    trainer = make_trainer(world, tmp_path / "out", "MPAFER", **{"TRAINER.MPAFER.PREC": "bf16"})
    trainer.num_batches = 1
    batch = {"img": torch.randn(4, 3, 96, 96).pin_memory(), "label": torch.arange(4).pin_memory()}
    torch.cuda.set_sync_debug_mode("error")
    try:
        values = trainer.step(batch)
        with pytest.raises(RuntimeError):  # control: this does wait
            values["ce_loss"].item()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    trainer.loss_check.raise_if_broken()


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
