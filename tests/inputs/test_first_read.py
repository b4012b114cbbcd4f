"""So many images that nobody reads them for their hashes alone: their contents are noted when they are first read."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xxhash
from PIL import Image
from support.runs import make_trainer, make_world, results, scores
from torch.utils.data import DataLoader
from torchvision import transforms as T

from mpafer.common.identity import NOT_READ, made_of_differences
from mpafer.inputs import fingerprint, first_read, hashing
from mpafer.inputs.datum import Datum
from mpafer.inputs.fingerprint import data_fingerprint
from mpafer.inputs.hashing import known_hashes
from mpafer.inputs.images import PlainImages
from mpafer.inputs.reading import read_image
from mpafer.inputs.samplers import BatchSampler

COUNT, BATCH = 22, 4
FLIPPED = T.Compose([T.RandomCrop(8), T.RandomHorizontalFlip(), T.ToTensor()])


@pytest.fixture
def items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Datum]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"folder{i % 3}" / f"{i}.png" for i in range(COUNT)]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (10, 12, 3), dtype=np.uint8)).save(path)
    later(monkeypatch)
    return [Datum(str(path), i % 3) for i, path in enumerate(paths)]


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are as old as if they had been there for long."""
    now = time.time() + 10
    monkeypatch.setattr(hashing, "time", type("clock", (), {"time": staticmethod(lambda: now)}))


def epoch(images: PlainImages, workers: int, *, whole: bool) -> dict[int, torch.Tensor]:
    """Index -> image, of an epoch; without its incomplete last batch where it is not to be ``whole``."""
    batches = BatchSampler(COUNT, BATCH, shuffle=True, drop_last=not whole, seed=3)
    loader = DataLoader(images, batch_sampler=batches, num_workers=workers)
    return {int(i): image for batch in loader for i, image in zip(batch["index"], batch["img"], strict=True)}


def expected(items: list[Datum]) -> list[str]:
    return [xxhash.xxh3_128_hexdigest(Path(item.impath).read_bytes()) for item in items]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_notes_what_it_read_and_changes_no_pixel(items: list[Datum], workers: int) -> None:
    paths = [item.impath for item in items]
    plain, noting = PlainImages(items, FLIPPED), PlainImages(items, FLIPPED)
    noting.note_contents()
    there, here = epoch(plain, workers, whole=False), epoch(noting, workers, whole=False)
    assert there.keys() == here.keys() and all(torch.equal(there[i], here[i]) for i in there)
    assert plain.keep_contents() == 0 and known_hashes(paths) == [None] * COUNT, "control: reading alone notes nothing"
    assert noting.keep_contents() == len(here) == COUNT - COUNT % BATCH
    known = expected(items)
    assert known_hashes(paths) == [known[i] if i in here else None for i in range(COUNT)]


def test_a_file_is_hashed_once(items: list[Datum], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real = first_read.content_of
    monkeypatch.setattr(first_read, "content_of", lambda file, *rest: seen.append(rest[0]) or real(file, *rest))
    images = PlainImages(items, FLIPPED)
    images.note_contents()
    for _ in range(3):
        epoch(images, 0, whole=True)
        assert images.keep_contents() == COUNT
    assert sorted(seen) == sorted(item.impath for item in items)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "TIFF tiff_lzw", "WEBP", "GIF", "BMP", "PPM", "TGA", "ICO"])
def test_from_memory_an_image_is_the_same(tmp_path: Path, form: str) -> None:
    (form, *packed), path = form.split(), tmp_path / "x"
    image = Image.effect_noise((64, 48), 60).convert("RGB")
    image.save(path, form, **dict(zip(["compression"], packed, strict=False)))
    read, content = first_read.read_image_content(path)
    assert np.array_equal(np.asarray(read), np.asarray(read_image(path))) and read.size == read_image(path).size
    assert content.digest == xxhash.xxh3_128_hexdigest(path.read_bytes())


def test_a_broken_image_is_named_as_ever(items: list[Datum]) -> None:
    os.truncate(items[0].impath, 40)
    messages = []
    for noting in (False, True):
        images = PlainImages(items, FLIPPED)
        if noting:
            images.note_contents()
        with pytest.raises(OSError, match=r"0\.png") as error:
            epoch(images, 0, whole=True)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_contents_that_are_not_known_are_stated_and_not_compared() -> None:
    unknown = {"train": "1", "train_contents": NOT_READ}
    known = {"train": "1", "train_contents": "3"}
    assert made_of_differences(unknown, known) == made_of_differences(unknown, unknown) == {}
    assert made_of_differences(unknown, {"train": "2", "train_contents": "3"}), "names, sizes and labels tell"
    assert made_of_differences(known, known | {"train_contents": "4"}), "control"


def test_the_names_in_a_fingerprint_are_those_below_the_root(items: list[Datum], tmp_path: Path) -> None:
    def names(root: str, *paths: str) -> list[str]:
        return list(fingerprint._names(paths, root))

    assert names("/a", "/a/b/c.png", "/a/d.png", "/a/b/../e/f.png") == ["b/c.png", "d.png", "e/f.png"]
    assert names("/a/b", "/cache/key/1.png", "/a/2.png") == ["key/1.png", "a/2.png"]
    moved = tmp_path / "moved"
    moved.mkdir()
    for i in range(3):
        os.rename(tmp_path / f"folder{i}", moved / f"folder{i}")
    there = [Datum(item.impath.replace(f"{tmp_path}/", f"{moved}/"), item.label) for item in items]
    assert len(set(data_fingerprint({"train": there}, str(moved)).values())) == 2
    assert data_fingerprint({"train": there}, str(moved))["train"].startswith(f"{COUNT} images ")


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any data set counts as one of very many images."""
    monkeypatch.setattr(fingerprint, "MANY", 1)
    monkeypatch.setattr(fingerprint, "LEFT_OUT", 0)


def trained(world: Path, name: str, **options: Any) -> tuple[dict[str, str], np.ndarray, dict[str, str]]:
    """What a new run was made of, its scores, and what its checkpoint says it was made of."""
    out = world / name
    trainer = make_trainer(world, out, "CoOp", **{"OPTIM.MAX_EPOCH": 1, "DATALOADER.TRAIN_X.BATCH_SIZE": 7} | options)
    trainer.train()
    checkpoint = torch.load(next(out.glob("prompts/*.pth.tar-*")), weights_only=True)
    return results(out)["made_of"], scores(out), checkpoint["extra"]["made_of"]


@pytest.mark.parametrize("path", ["plain", "store"])
def test_a_run_says_what_it_does_not_know_and_knows_it_after_its_first_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str, request: Any
) -> None:
    later(monkeypatch)
    caplog.set_level("INFO")
    world, fast = make_world(tmp_path, train=2), {"DATALOADER.FAST": path == "store"}
    monkeypatch.setenv("MPAFER_CACHE", str(world / "one"))
    usual, numbers, _ = trained(world, "usual", **fast)
    assert NOT_READ not in usual.values() and "contents are not known" not in caplog.text

    request.getfixturevalue("many")
    monkeypatch.setenv("MPAFER_CACHE", str(world / "other"))  # nothing is known there
    made_of, same, checkpoint = trained(world, "many", **fast)
    assert "contents are not known" in caplog.text
    assert made_of == usual, "the train split after its epoch, the test split after the test"
    assert checkpoint == usual | {"test_contents": NOT_READ}
    assert np.array_equal(same, numbers)

    monkeypatch.setenv("MPAFER_CACHE", str(world / "third"))
    few, _, _ = trained(world, "few", **fast, **{"DATASET.NUM_SHOTS": 1})
    assert few == usual | {"train_contents": NOT_READ}, "control: what was not read is not known"

    victim = min((world / "data").rglob("train_*.jpg"))
    content = victim.read_bytes()
    victim.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])  # of equal size
    monkeypatch.setenv("MPAFER_CACHE", str(world / "fourth"))
    other = data_fingerprint(make_trainer(world, world / "x", "CoOp", **fast).dm.dataset.splits, str(world / "data"))
    assert other["train"] == usual["train"] and other["train_contents"] == NOT_READ
    assert not made_of_differences(usual, other), "not yet"
