"""On a CUDA device (``make test ARGS="-m gpu"``): the same numbers as on the CPU, and every precision trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from models import CLASSES, random_clip
from runs import make_world, prompts, run, scores

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
    finished = run(world, tmp_path / "out", **{"TRAINER.MPAFER.PREC": precision})
    assert finished.returncode == 0, finished.stderr
    assert np.isfinite(scores(tmp_path / "out")).all()
    assert all(tensor.isfinite().all() for tensor in prompts(tmp_path / "out").values())
