"""Prototypes on disk: computed once, and again whenever something they depend on has changed."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support.miniatures import make_rafdb
from support.models import random_clip
from torchvision import transforms as T

from mpafer.engine import prototypes as module
from mpafer.engine.prototypes import cached_prototypes, draw_per_class
from mpafer.prompting.teachers import class_prototypes

TRANSFORM = T.Compose([T.Resize(32), T.ToTensor()])


@pytest.fixture
def items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    monkeypatch.setenv("MPAFER_CACHE", str(tmp_path / "cache"))
    folder = make_rafdb(tmp_path / "data") / "Image" / "aligned"
    paths = sorted(folder.glob("train_*"))
    return [SimpleNamespace(impath=str(path), label=i % 7) for i, path in enumerate(paths)]


def compute(items: list[SimpleNamespace], seed: int = 0, transform: T.Compose = TRANSFORM) -> torch.Tensor:
    return cached_prototypes(random_clip(seed=seed), items, transform, num_classes=7, batch_size=4)


def test_they_are_read_back_and_not_computed_again(
    items: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compute(items)
    images = torch.stack([TRANSFORM(module.read_image(item.impath)) for item in items])
    labels = torch.tensor([item.label for item in items])
    torch.testing.assert_close(first, class_prototypes(random_clip(), [(images, labels)], 7))

    def again(*args: object) -> torch.Tensor:
        raise AssertionError("computed again")

    monkeypatch.setattr(module, "class_prototypes", again)
    assert torch.equal(compute(items), first)
    for changed in (
        lambda: compute(items, seed=1),
        lambda: compute(items[:-1]),
        lambda: compute(items, transform=T.Compose([T.Resize(32), T.CenterCrop(32), T.ToTensor()])),
        lambda: compute([SimpleNamespace(impath=item.impath, label=6 - item.label) for item in items]),
        lambda: cached_prototypes(random_clip().cast(torch.bfloat16), items, TRANSFORM, num_classes=7, batch_size=4),
    ):
        with pytest.raises(AssertionError, match="computed again"):
            changed()
    with monkeypatch.context() as patch, pytest.raises(AssertionError, match="computed again"):
        patch.setattr(module, "READER", 1)  # another way to read the same files
        compute(items)
    os.utime(items[0].impath, (1, 1))  # rewritten with the same size
    with pytest.raises(AssertionError, match="computed again"):
        compute(items)


def test_a_cache_that_cannot_be_written_is_a_warning(
    items: list[SimpleNamespace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MPAFER_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING, "mpafer"):
        assert compute(items).shape == (7, 32)
    assert "class prototypes are not kept" in caplog.text


def test_images_per_prototype_are_drawn_by_seed(items: list[SimpleNamespace]) -> None:
    assert draw_per_class(items, -1, 0) == items
    one = draw_per_class(items, 1, 0)
    assert [item.label for item in one] == list(range(7)) and one == draw_per_class(items, 1, 0)
    assert any(draw_per_class(items, 1, seed) != one for seed in range(1, 5))
    assert len(draw_per_class(items, 99, 0)) == len(items)
