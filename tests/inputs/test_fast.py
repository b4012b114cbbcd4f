"""The fast input path gives what the plain path gives: same draws, same values up to the stated rounding."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image
from support import toy as engine_toy
from torch import Tensor
from torchvision import transforms as T
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

import mpafer
from mpafer.common import distributed
from mpafer.common.defaults import default_config
from mpafer.common.files import TEMPORARY
from mpafer.common.identity import differences
from mpafer.inputs import recipe, store
from mpafer.inputs.datum import Datum
from mpafer.inputs.fast import BatchMemory, FastLoader
from mpafer.inputs.first_read import read_image_content
from mpafer.inputs.hashing import Content
from mpafer.inputs.images import PlainImages
from mpafer.inputs.loaders import build_loader, set_epoch
from mpafer.inputs.reading import read_image
from mpafer.inputs.resize import resized_crop
from mpafer.inputs.store import NoStoreError, open_store
from mpafer.inputs.transforms import compose, plain_transform, training_steps

SIZES = [(40, 40), (37, 53), (61, 33), (100, 100), (24, 25), (90, 31), (33, 33), (48, 48), (41, 64)]  # width, height


def draw(path: Path, size: tuple[int, int], mode: str = "RGB") -> None:
    rng = np.random.default_rng(size[0] * 1000 + size[1])
    pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


@pytest.fixture
def faces(tmp_path: Path) -> list[Datum]:
    """Odd and oblong images; one grey, one with a palette, one CMYK, one transparent."""
    modes = {1: ("L", "png"), 2: ("P", "png"), 3: ("CMYK", "jpg"), 5: ("LA", "png")}
    for i, size in enumerate(SIZES):
        mode, ending = modes.get(i, ("RGB", "png"))
        draw(tmp_path / f"{i}.{ending}", size, mode)
    return [
        Datum(str(path), int(path.stem) % 3, 0, f"class{int(path.stem) % 3}") for path in sorted(tmp_path.iterdir())
    ]


def loader(cfg: Any, items: list[Datum], *, fast: bool, train: bool = True, workers: int = 0, batch: int = 3) -> Any:
    cfg.DATALOADER.FAST, cfg.DATALOADER.NUM_WORKERS, cfg.USE_CUDA = fast, workers, False
    if not train:
        return build_loader(cfg, items, plain_transform(cfg.INPUT), batch_size=batch)
    return build_loader(cfg, items, augmenting(cfg), sampler="RandomSampler", batch_size=batch, training=True)


def augmenting(cfg: Any) -> T.Compose:
    return compose(training_steps(cfg.INPUT))


def epoch(batches: Any, number: int = 0, seed: int = 1) -> list[dict[str, Any]]:
    set_epoch(batches, number, seed)
    return [{key: value.clone() if key == "img" else value for key, value in batch.items()} for batch in batches]


def images(batches: Any, number: int = 0, seed: int = 1) -> Tensor:
    return torch.cat([batch["img"] for batch in epoch(batches, number, seed)])


def setup(cfg: Any, *names: str, size: tuple[int, int] = (32, 32), mode: str = "bicubic") -> Any:
    cfg.INPUT.SIZE, cfg.INPUT.TRANSFORMS, cfg.INPUT.INTERPOLATION = size, names, mode
    return cfg


EXACT = [
    ("random_flip", "normalize"),
    ("random_flip",),
    ("normalize", "random_erasing"),
    ("random_crop", "random_flip", "normalize", "random_erasing"),
]
RESIZED = [
    ("random_resized_crop", "random_flip", "normalize"),
    ("random_resized_crop", "random_flip", "normalize", "random_erasing"),
    ("random_resized_crop",),
]


@pytest.mark.parametrize("names", EXACT, ids="-".join)
def test_training_without_a_resized_crop_is_bit_equal(cfg: Any, faces: list[Datum], names: tuple[str, ...]) -> None:
    setup(cfg, *names, size=(24, 24))
    plain, fast = (loader(cfg, faces, fast=fast) for fast in (False, True))
    assert isinstance(fast, FastLoader) and not isinstance(plain, FastLoader)
    for number in range(3):
        for ours, theirs in zip(epoch(fast, number), epoch(plain, number), strict=True):
            assert ours.keys() == theirs.keys() and ours["impath"] == theirs["impath"]
            assert all(torch.equal(ours[key], theirs[key]) for key in ("img", "label", "index"))


@pytest.mark.parametrize("size, mode", [((32, 32), "bicubic"), ((224, 160), "bicubic"), ((16, 30), "bilinear")])
@pytest.mark.parametrize("names", RESIZED, ids="-".join)
def test_training_with_a_resized_crop_differs_by_rounding(
    cfg: Any, faces: list[Datum], names: tuple[str, ...], size: tuple[int, int], mode: str
) -> None:
    setup(cfg, *names, size=size, mode=mode)
    scale = torch.tensor(cfg.INPUT.PIXEL_STD if "normalize" in names else [1.0] * 3).view(3, 1, 1) * 255
    plain, fast = (loader(cfg, faces, fast=fast) for fast in (False, True))
    found, expected = images(fast), images(plain)
    levels = ((found - expected) * scale).abs()
    assert levels.max() < 1.001 and (levels > 0.5).float().mean() < 2e-3
    assert ((found == 0) == (expected == 0)).float().mean() > 0.999  # the erased boxes
    for other in (images(fast, number=1), images(fast, seed=2)):  # control
        assert ((other - expected) * scale).abs().mean() > 5


@pytest.mark.parametrize("size, mode", [((32, 32), "bicubic"), ((20, 28), "bilinear"), ((24, 24), "nearest")])
def test_evaluation_is_bit_equal(cfg: Any, faces: list[Datum], size: tuple[int, int], mode: str) -> None:
    setup(cfg, "random_resized_crop", "random_flip", "normalize", size=size, mode=mode)
    plain, fast = (loader(cfg, faces, fast=fast, train=False) for fast in (False, True))
    assert isinstance(fast, FastLoader)
    assert torch.equal(images(fast), images(plain)) and len(images(fast)) == len(faces)


@pytest.mark.parametrize("scale, ratio", [((0.08, 1), (3 / 4, 4 / 3)), ((0.8, 1), (3 / 4, 4 / 3)), ((0.9, 1), (3, 4))])
def test_crops_are_torchvisions(scale: tuple[float, float], ratio: tuple[float, float]) -> None:
    for number in range(150):
        rows, columns = 5 + number % 97, 5 + number * 7 % 89
        torch.manual_seed(number)
        expected = T.RandomResizedCrop.get_params(torch.empty(1).expand(3, rows, columns), scale, ratio)
        after = torch.rand(1)
        torch.manual_seed(number)
        assert recipe.crop_box(rows, columns, scale, ratio) == expected
        assert torch.rand(1) == after  # and as many numbers were drawn


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_resized_crops_are_pillows(mode: str) -> None:
    rng, differing, values = np.random.default_rng(0), 0, 0
    for _ in range(40):
        height, width, *size = (int(side) for side in rng.integers(4, 150, 4))
        picture = rng.integers(0, 256, (height + 5, width + 3, 3), dtype=np.uint8)
        box, mirrored = (int(rng.integers(6)), int(rng.integers(4)), height, width), bool(rng.integers(2))
        planes = torch.from_numpy(picture.transpose(2, 1, 0).copy())
        found = torch.empty(3, *size)
        resized_crop(planes, box, size, InterpolationMode(mode), mirrored, found.__setitem__)
        image = F.resized_crop(Image.fromarray(picture), *box, size, InterpolationMode(mode))
        difference = (found - F.pil_to_tensor(F.hflip(image) if mirrored else image)).abs()
        assert difference.max() <= 1
        differing, values = differing + int((difference > 0).sum()), values + difference.numel()
    assert 0 < differing < 2e-3 * values


def test_any_number_of_workers_and_epochs_in_workers_that_live_on(cfg: Any, faces: list[Datum]) -> None:
    setup(cfg, "random_resized_crop", "random_flip", "normalize", "random_erasing")
    alone, many = (loader(cfg, faces, fast=True, workers=workers) for workers in (0, 2))
    plain = loader(cfg, faces, fast=False, workers=1)
    for number, seed in ((0, 1), (1, 1), (5, 3)):
        assert torch.equal(images(alone, number, seed), images(many, number, seed))
        assert (images(alone, number, seed) - images(plain, number, seed)).abs().max() < 0.02
    assert not torch.equal(images(many, 5, 3), images(many, 6, 3))  # control


def test_ranks_share_the_batches_of_one_rank(monkeypatch, cfg: Any, faces: list[Datum]) -> None:
    setup(cfg, "random_resized_crop", "random_flip", "normalize")
    batches = loader(cfg, faces, fast=True, batch=4)
    whole = images(batches)
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        parts.append([batch["img"] for batch in epoch(batches)])
    assert torch.equal(torch.cat([torch.cat(halves) for halves in zip(*parts, strict=True)]), whole)


def test_bytes_normalised_on_the_device_are_the_same_values(cfg: Any, faces: list[Datum]) -> None:
    for names in (EXACT[-1], RESIZED[1]):
        batches = loader(setup(cfg, *names, size=(24, 24)), faces, fast=True)
        expected = images(batches)
        batches.dataset.dtype = np.uint8
        assert torch.equal(images(batches), expected)


def test_repetitions_are_augmented_anew(cfg: Any, faces: list[Datum]) -> None:
    setup(cfg, "random_resized_crop", "normalize")
    found = []
    for fast in (True, False):
        cfg.DATALOADER.FAST, cfg.DATALOADER.NUM_WORKERS, cfg.USE_CUDA = fast, 0, False
        items = [*faces[:1], *([faces[1]] * 8)]
        batches = build_loader(cfg, items, augmenting(cfg), sampler="BalancedSampler", batch_size=9, training=True)
        found.append(next(iter(batches)))
    assert found[0]["index"].tolist() == found[1]["index"].tolist()
    assert (found[0]["img"] - found[1]["img"]).abs().max() < 0.02
    first = found[0]["img"][found[0]["index"] == 0]
    assert len(first) > 1 and not torch.equal(first[0], first[1])


# --- what is covered


@pytest.mark.parametrize(
    "names, reason",
    [
        (("colorjitter", "normalize"), r"ColorJitter\(.*\) is not covered"),
        (("random_crop", "random_resized_crop"), "is not covered"),
        (("random_translation",), "RandomTranslation"),
        (("cutout", "normalize"), "Cutout"),
    ],
)
def test_what_is_not_covered_takes_the_plain_path(cfg: Any, faces: list[Datum], capsys, names, reason) -> None:
    setup(cfg, *names, size=(24, 24))
    fast = loader(cfg, faces, fast=True)
    lines = [line for line in capsys.readouterr().out.splitlines() if "DATALOADER.FAST" in line]
    assert not isinstance(fast, FastLoader) and len(lines) == 1
    assert lines[0].startswith("* DATALOADER.FAST: training takes the plain path: ")
    assert re.search(reason, lines[0])
    assert len(list(fast)) == 3


def test_fast_false_is_plain(cfg: Any, faces: list[Datum]) -> None:
    assert type(loader(setup(cfg, "random_flip"), faces, fast=False).dataset) is PlainImages


def test_it_is_the_default_of_our_own_runner_alone() -> None:
    ours, dassls = default_config(), default_config()
    assert ours.DATALOADER.FAST is True
    del dassls.DATALOADER["FAST"]
    mpafer.extend_cfg(dassls)
    assert dassls.DATALOADER.FAST is False
    other = ours.clone()
    other.DATALOADER.FAST_GB = 1.0
    assert not differences(ours, other)  # a resumed run may have more room
    assert differences(ours, dassls) == {"DATALOADER.FAST": (True, False)}


# --- the store


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are decoded, in order."""
    paths: list[str] = []

    def count(path: str) -> tuple[Image.Image, Content]:
        paths.append(path)
        return read_image_content(path)

    monkeypatch.setattr(store, "read_image_content", count)
    return paths


def train_images(cfg: Any, faces: list[Datum]) -> Tensor:
    return images(loader(setup(cfg, "random_resized_crop", "normalize"), faces, fast=True))


def test_images_are_decoded_once(cfg: Any, faces: list[Datum], decoded: list[str], tmp_path: Path) -> None:
    batches = loader(setup(cfg, "random_resized_crop", "normalize"), faces, fast=True)
    assert not decoded and not (tmp_path / "mpafer_fast").exists()  # not before they are needed
    first = images(batches)
    assert {item.impath for item in faces} == set(decoded)
    decoded.clear()
    assert torch.equal(train_images(cfg, faces), first) and not decoded
    assert torch.equal(images(loader(cfg, faces, fast=True, workers=2)), first) and not decoded
    loader(setup(cfg, "random_flip"), faces, fast=True).dataset.open()  # other stored steps, another store
    assert decoded and len(list((tmp_path / "mpafer_fast").glob("*.u8"))) == 2


def test_a_changed_file_is_decoded_again(cfg: Any, faces: list[Datum], decoded: list[str]) -> None:
    first = train_images(cfg, faces)
    draw(Path(faces[0].impath), (45, 47))
    decoded.clear()
    assert not torch.equal(train_images(cfg, faces), first) and faces[0].impath in decoded
    decoded.clear()
    os.utime(faces[0].impath, (1, 1))  # only touched
    train_images(cfg, faces)
    assert not decoded


def test_a_read_only_folder(cfg: Any, faces: list[Datum], own_cache: Path, monkeypatch, tmp_path: Path) -> None:
    expected = train_images(cfg, faces)
    shutil.rmtree(tmp_path / "mpafer_fast")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert torch.equal(train_images(cfg, faces), expected)
    assert list((own_cache / "fast").glob("*.u8")) and not (tmp_path / "mpafer_fast").exists()


def refuse(*_: Any, **__: Any) -> Any:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    "change, reason",
    [
        ("cap", r"take 0\.00 GB or more, which DATALOADER\.FAST_GB 1e-05 does not leave in .*mpafer_fast"),
        ("disk", r"has 0\.00 GB free"),
        ("full", r"cannot be kept in .*mpafer_fast \(.*No space left on device"),
    ],
)
def test_where_there_is_no_room_the_plain_path_is_taken(
    cfg: Any, faces: list[Datum], monkeypatch, capsys, tmp_path: Path, change: str, reason: str
) -> None:
    setup(cfg, "random_resized_crop", "normalize")
    expected = images(loader(cfg, faces, fast=False))
    if change == "cap":
        cfg.DATALOADER.FAST_GB = 1e-5
    elif change == "disk":
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 10, 10))  # type: ignore[attr-defined]
    else:
        monkeypatch.setattr(store, "atomic_file", refuse)
    capsys.readouterr()
    batches = loader(cfg, faces, fast=True, workers=1)
    assert torch.equal(images(batches), expected) and torch.equal(images(batches), expected)
    lines = [line for line in capsys.readouterr().out.splitlines() if "DATALOADER.FAST:" in line]
    assert len(lines) == 1 and re.search(reason, lines[0]), lines
    assert not list((tmp_path / "mpafer_fast").glob("*.u8"))


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_an_unreadable_image_is_named(cfg: Any, faces: list[Datum], damage: str, tmp_path: Path) -> None:
    bad = Path(faces[4].impath)
    if damage == "missing":
        bad.unlink()
    else:
        bad.write_bytes(bad.read_bytes()[:60])
    with pytest.raises(OSError, match=f"cannot read the image {bad}"):
        train_images(cfg, faces)
    assert not list(tmp_path.glob("mpafer_fast/*.u8"))


def test_only_stores_that_were_not_used_for_a_day_make_room(cfg: Any, faces: list[Datum], tmp_path: Path) -> None:
    paths, decode = [item.impath for item in faces], recipe.Recipe(augmenting(cfg)).decode
    names = ["a", "b", "c"]
    made = [open_store(paths, decode, name, tmp_path, 1.0).path for name in names]
    size = made[0].stat().st_size
    room = 3.5 * size / 1e9
    with pytest.raises(NoStoreError, match="FAST_GB"):  # all are in use
        open_store(paths, decode, "d", tmp_path, room)
    for path, days in zip(made, (2, 3, 0), strict=True):
        os.utime(path, (time.time() - days * 86400,) * 2)
    open_store(paths, decode, "d", tmp_path, room)
    assert [path.exists() for path in made] == [True, False, True]  # the oldest
    open_store(paths, decode, "a", tmp_path, room)  # used again: in use
    with pytest.raises(NoStoreError):
        open_store(paths, decode, "e", tmp_path, room)


def test_making_room_leaves_what_it_should(cfg: Any, faces: list[Datum], tmp_path: Path) -> None:
    """The lock, however old, and stores that could not make room enough; a killed process's rest goes."""
    paths, decode = [item.impath for item in faces], recipe.Recipe(augmenting(cfg)).decode
    old = open_store(paths, decode, "a", tmp_path, 1.0).path
    size, lock = old.stat().st_size, old.parent / ".lock"
    rest = old.parent / f".b.u8.123{TEMPORARY}"
    rest.write_bytes(bytes(2 * size))
    for path in (old, lock):
        os.utime(path, (time.time() - 3 * 86400,) * 2)
    with pytest.raises(NoStoreError, match="FAST_GB"):
        open_store(paths, decode, "b", tmp_path, 0.5 * size / 1e9)
    assert old.exists() and lock.exists() and not rest.exists()
    rest.write_bytes(bytes(2 * size))
    made = open_store(paths, decode, "b", tmp_path, 1.5 * size / 1e9).path
    assert made.exists() and lock.exists() and not old.exists()


def test_another_users_folder_is_left_for_ones_own_cache(
    cfg: Any, faces: list[Datum], tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lock(path: Path) -> FileLock:
        if "mpafer_fast" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return FileLock(path)

    monkeypatch.setattr(store, "FileLock", lock)
    paths, decode = [item.impath for item in faces], recipe.Recipe(augmenting(cfg)).decode
    assert open_store(paths, decode, "a", tmp_path, 1.0).path.parent == own_cache / "fast"


def test_what_an_older_reader_decoded_is_decoded_anew(
    cfg: Any, faces: list[Datum], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, decode = [item.impath for item in faces], recipe.Recipe(augmenting(cfg)).decode
    monkeypatch.setattr(store, "READER", 1)
    older = open_store(paths, decode, "a", tmp_path, 1.0).path
    assert open_store(paths, decode, "a", tmp_path, 1.0).path == older
    monkeypatch.undo()
    assert open_store(paths, decode, "a", tmp_path, 1.0).path != older


def test_images_of_two_sizes_in_a_batch_are_refused(cfg: Any, tmp_path: Path) -> None:
    stored = [torch.zeros(3, 30, 30, dtype=torch.uint8), torch.zeros(3, 20, 40, dtype=torch.uint8)]
    parts = recipe.Recipe(T.Compose([T.ToTensor()]))
    out = torch.empty(3, *parts.size(stored[0]))
    parts.augment_into(out, stored[0])
    with pytest.raises(ValueError, match=r"images of \(30, 30\) and \(20, 40\) pixels"):
        parts.augment_into(out, stored[1])


def test_of_two_processes_one_decodes(faces: list[Datum], tmp_path: Path) -> None:
    paths = [item.impath for item in faces]
    context = engine_toy.processes()
    processes = [context.Process(target=engine_toy.count_and_store, args=(tmp_path, paths)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    counts, totals = zip(*(file.read_text().split() for file in tmp_path.glob("*.count")), strict=True)
    assert sorted(map(int, counts))[0] == 0 and sorted(map(int, counts))[1] >= len(paths)
    assert len(set(totals)) == 1 and int(totals[0]) == sum(np.asarray(read_image(path)).sum() for path in paths)


# --- memory


def test_memory_is_used_again_only_when_nothing_lies_in_it() -> None:
    memory = BatchMemory()
    first = memory.allocate((2, 3), np.float32)
    place, part = first.data_ptr(), first[1:].numpy()
    del first
    assert memory.allocate((2, 3), np.float32).data_ptr() != place  # `part` lies in it
    del part
    places = {memory.allocate((2, 3), np.float32).data_ptr() for _ in range(3)}
    assert place in places
    assert memory.allocate((4,), np.uint8).dtype == torch.uint8
