"""Prototypes on disk: computed once, and again whenever something they depend on has changed."""

from __future__ import annotations

import logging
import os
import random
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.miniatures import make_rafdb
from support.models import random_clip
from torchvision import transforms as T

from mpafer.engine import prototypes as module
from mpafer.engine.prototypes import cached_prototypes, draw_per_class
from mpafer.inputs.reading import read_image
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
    images = torch.stack([TRANSFORM(read_image(item.impath)) for item in items])
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
    os.utime(items[0].impath, (1, 1))  # only touched
    assert torch.equal(compute(items), first)
    other = Image.open(items[0].impath).rotate(180)
    other.save(items[0].impath, "BMP")
    with pytest.raises(AssertionError, match="computed again"):
        compute(items)


def test_images_of_equal_size_and_time_are_seen(items: list[SimpleNamespace], tmp_path: Path, caplog) -> None:
    for item in items:
        image = tmp_path / f"{Path(item.impath).stem}.bmp"
        Image.open(item.impath).save(image)
        item.impath = str(image)
    first = compute(items)
    about = os.stat(items[0].impath)
    Image.open(items[0].impath).rotate(180).save(items[0].impath)
    os.utime(items[0].impath, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert os.stat(items[0].impath).st_size == about.st_size
    found = compute(items)
    assert not torch.equal(found, first) and torch.equal(found[1:], first[1:])
    assert caplog.text.count("are made again: images have changed") == 1
    assert torch.equal(compute(items), found) and caplog.text.count("made again") == 1


def randomise_half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + random.Random(0).randbytes(len(data) - len(data) // 2))


DAMAGES = {
    "half": randomise_half,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-4]),
    "empty": lambda path: path.write_bytes(b""),
    "prolonged": lambda path: path.write_bytes(path.read_bytes() + b"0000"),
    "JSON": lambda path: path.write_text("[]"),
    "unsealed": lambda path: save_file({"prototypes": torch.zeros(7, 32)}, path),
    "other names": lambda path: save_file({"others": torch.zeros(7, 32)}, path),
    "another key": lambda path: save_file(
        load_file(path), path, safe_open(path, "pt").metadata() | {"contents": "0" * 24}
    ),
    "another's": lambda path: next(
        path.write_bytes(other.read_bytes()) for other in path.parent.iterdir() if other != path
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_found_and_said_in_one_line(
    items: list[SimpleNamespace], own_cache: Path, caplog: pytest.LogCaptureFixture, damage
) -> None:
    first = compute(items)
    (path,) = (own_cache / "prototypes").iterdir()
    compute(items, seed=1)
    whole = path.read_bytes()
    damage(path)
    assert path.read_bytes() != whole
    caplog.clear()
    assert torch.equal(compute(items), first) and torch.equal(compute(items), first)  # the second is read back
    (record,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert str(path) in record.getMessage() and "made again" in record.getMessage()


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
