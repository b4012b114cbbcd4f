"""Order, loaders and transforms of the plain input path."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support import toy as engine_toy

from mpafer.common import distributed
from mpafer.common.defaults import default_config
from mpafer.inputs import transforms
from mpafer.inputs.datum import Datum
from mpafer.inputs.loaders import DataManager, build_loader, set_epoch
from mpafer.inputs.samplers import BatchSampler, Draw
from mpafer.inputs.transforms import compose, plain_transform, training_steps


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("faces")
    engine_toy.draw_images(path)
    return path


def manage(root: Path, output: Path, *options: Any) -> DataManager:
    cfg = engine_toy.toy_cfg(root, output, *options)
    return DataManager(cfg, engine_toy.ToyFaces(cfg.DATASET.ROOT, val=cfg.TRAINER.TOY.VAL))


def images(count: int, classes: int = 3) -> list[Datum]:
    return [Datum(str(i), i % classes, 0, "abc"[i % classes]) for i in range(count)]


# --- order


def batches(sampler: BatchSampler, epoch: int, seed: int = 5) -> list[list[Draw]]:
    sampler.set_epoch(epoch, seed)
    return list(sampler)


def test_order_is_a_function_of_seed_and_epoch():
    sampler = BatchSampler(20, 6, shuffle=True, drop_last=True, seed=5)
    first = batches(sampler, 0)
    assert [len(batch) for batch in first] == [6, 6, 6] and len(sampler) == 3
    torch.manual_seed(99)
    assert batches(sampler, 0) == first
    assert batches(sampler, 1) != first
    assert batches(sampler, 0, seed=6) != first


def test_evaluation_keeps_the_last_batch_in_order():
    sampler = BatchSampler(20, 6, shuffle=False, drop_last=False, seed=5)
    assert [draw.image for batch in batches(sampler, 0) for draw in batch] == list(range(20)) and len(sampler) == 4


@pytest.mark.parametrize("shuffle, drop_last", [(True, True), (False, False)])
def test_ranks_share_the_batches_of_one_rank(monkeypatch, shuffle, drop_last):
    sampler = BatchSampler(21, 6, shuffle=shuffle, drop_last=drop_last, seed=5)
    whole = batches(sampler, 2)
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        parts.append(batches(sampler, 2))
    assert [a + b for a, b in zip(*parts, strict=True)] == whole
    assert parts[0] != parts[1]


def test_a_batch_that_cannot_be_shared_evenly_is_an_error(monkeypatch, root, tmp_path):
    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    with pytest.raises(ValueError, match="4 images cannot be split evenly over 3 processes"):
        manage(root, tmp_path)


# --- images


def epoch_images(loader, epoch: int, seed: int = 0) -> dict[int, torch.Tensor]:
    set_epoch(loader, epoch, seed)
    return {int(i): image for batch in loader for i, image in zip(batch["index"], batch["img"], strict=True)}


def test_augmentation_is_a_function_of_seed_epoch_and_image(root, tmp_path):
    loaders = [manage(root, tmp_path, "DATALOADER.NUM_WORKERS", workers).train_loader for workers in (0, 2)]
    alone = epoch_images(loaders[0], 3)
    torch.manual_seed(123)
    before = torch.get_rng_state()
    again = epoch_images(loaders[0], 3)
    assert torch.equal(torch.get_rng_state(), before)  # and loading leaves the global generator alone
    with_workers = epoch_images(loaders[1], 3)
    assert alone.keys() == with_workers.keys() == set(range(24))
    assert all(torch.equal(alone[i], again[i]) and torch.equal(alone[i], with_workers[i]) for i in alone)
    next_epoch, other_seed = epoch_images(loaders[0], 4), epoch_images(loaders[0], 3, seed=1)
    assert not any(torch.equal(alone[i], next_epoch[i]) or torch.equal(alone[i], other_seed[i]) for i in alone)


def test_batches_have_dassls_keys(root, tmp_path):
    manager = manage(root, tmp_path)
    batch = next(iter(manager.test_loader))
    assert set(batch) == {"img", "label", "impath", "index"}
    assert batch["img"].shape == (5, 3, 8, 8) and batch["label"].tolist() == [0, 1, 2, 0, 1]
    assert batch["impath"][4] == str(root / "test4.png") and batch["index"].tolist() == [0, 1, 2, 3, 4]
    assert sum(len(b["label"]) for b in manager.test_loader) == 13
    assert (manager.num_classes, manager.classnames) == (3, ["class0", "class1", "class2"])


def test_summary_and_validation_split(root, tmp_path, capsys):
    assert manage(root, tmp_path).val_loader is not None
    summary = capsys.readouterr().out
    for line in ("Dataset    ToyFaces", "# classes  3", "# train_x  24", "# val      9", "# test     13"):
        assert line in summary.splitlines()
    assert manage(root, tmp_path, "TRAINER.TOY.VAL", False).val_loader is None
    assert "# val" not in capsys.readouterr().out
    manage(root, tmp_path, "VERBOSE", False)
    assert "# test" not in capsys.readouterr().out


def test_an_unseeded_run_draws_one_seed(root, tmp_path):
    managers = [manage(root, tmp_path, "SEED", -1) for _ in range(2)]
    orders = [list(manager.train_loader.batch_sampler) for manager in managers]
    assert orders[0] != orders[1]
    assert list(managers[0].train_loader.batch_sampler) == orders[0]


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_an_unreadable_image_is_named(tmp_path, damage):
    engine_toy.draw_images(tmp_path)
    loader = manage(tmp_path, tmp_path).test_loader
    path = tmp_path / "test7.png"
    path.write_bytes(path.read_bytes()[:90]) if damage == "truncated" else path.unlink()
    with pytest.raises(OSError, match=r"cannot read the image .*test7\.png"):
        list(loader)


def test_loader_errors(root, tmp_path):
    cfg = engine_toy.toy_cfg(root, tmp_path)
    plain = plain_transform(cfg.INPUT)
    with pytest.raises(
        ValueError, match=r"DATALOADER.TEST.SAMPLER is 'RandomClassSampler'; choose one of RandomSampler, Balanced"
    ):
        build_loader(cfg, images(3), plain, sampler="RandomClassSampler")
    with pytest.raises(ValueError, match="BalancedSampler draws training images; an evaluation takes every image once"):
        build_loader(cfg, images(3), plain, sampler="BalancedSampler")
    with pytest.raises(ValueError, match=r"no images to load for evaluation \(ToyFaces\)"):
        build_loader(cfg, [], plain)
    assert len(build_loader(cfg, images(3), plain, batch_size=8, training=True)) == 1  # too few to drop any


# --- transforms


def input_cfg(*names: str, size: tuple[int, int] = (16, 16), mode: str = "bicubic"):
    cfg = default_config()
    cfg.INPUT.SIZE, cfg.INPUT.INTERPOLATION, cfg.INPUT.TRANSFORMS = size, mode, names
    cfg.INPUT.CUTOUT_LEN, cfg.INPUT.GB_K = 6, 3
    return cfg.INPUT


def training(node):
    return compose(training_steps(node))


@pytest.fixture(scope="module")
def noise():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 30, 3)).astype(np.uint8))


def test_test_transform_equals_dassls():
    # Dassl's output at commit c61a1b5 for this ramp, at rows 0, 3 and columns 0, 5 of every channel
    expected = [-0.970545, -0.576676, 0.930302, 0.776179, -0.845238, -0.442577]
    expected += [0.520308, 0.940476, -0.601830, -0.200959, 0.757647, 1.175948]
    ramp = Image.fromarray(np.arange(9 * 12 * 3).reshape(9, 12, 3).astype(np.uint8))
    output = plain_transform(input_cfg("normalize", "random_flip", size=(4, 6)))(ramp)
    assert output[:, ::3, ::5].flatten().tolist() == pytest.approx(expected, abs=1e-5)
    other = plain_transform(input_cfg("normalize", size=(4, 6), mode="bilinear"))(ramp)
    assert other[:, ::3, ::5].flatten().tolist() != pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", transforms.CHOICES)
def test_every_transform_works_and_is_reproducible(name, noise):
    transform = training(input_cfg(name))

    def outputs(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        return [transform(noise) for _ in range(8)]

    first = outputs(0)
    random.seed(1)
    np.random.seed(1)
    assert all(torch.equal(a, b) for a, b in zip(first, outputs(0), strict=True))
    assert all(image.shape == (3, 16, 16) and torch.isfinite(image).all() for image in first)
    deterministic = name in ("normalize", "instance_norm", "center_crop")
    assert all(torch.equal(first[0], image) for image in first) == deterministic


def test_order_and_lines_are_dassls(capsys):
    compose(
        training_steps(input_cfg("random_erasing", "normalize", "random_flip", "random_resized_crop")), print_as="train"
    )
    lines = [line.split(" (")[0] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "Building transform_train",
        "+ random resized crop",
        "+ random flip",
        "+ to torch tensor of range [0, 1]",
        "+ normalization",
        "+ random erasing",
    ]
    assert [line for line, _ in training_steps(input_cfg("random_flip"))][:2] == ["resize to 16x16", "random flip"]
    compose(training_steps(input_cfg("random_flip")))
    assert not capsys.readouterr().out
    chosen = training_steps(input_cfg("normalize"), ("random_flip",))  # other names than the node's
    assert [line for line, _ in chosen][1:] == ["random flip", "to torch tensor of range [0, 1]"]


def test_random_erasing_leaves_a_box_of_the_mean_colour(noise):
    node = input_cfg("normalize", "random_erasing")
    node.RE_P, node.RE_SCALE = 1.0, (0.2, 0.3)
    erased = (training(node)(noise) == 0).all(dim=0)
    assert 0.15 < erased.float().mean() < 0.35
    rows, columns = erased.any(dim=1), erased.any(dim=0)
    assert erased.sum() == rows.sum() * columns.sum()  # one full rectangle
    assert not (training(input_cfg("normalize"))(noise) == 0).all(dim=0).any()


@pytest.mark.parametrize("steps", [training_steps, plain_transform])
def test_transform_errors(steps):
    with pytest.raises(ValueError, match=r"INPUT.TRANSFORMS: no transform 'random_flop': did you mean random_flip\?"):
        steps(input_cfg("random_flop"))
    with pytest.raises(ValueError, match="'randaugment2' is Dassl's alone, here are random_translation, "):
        steps(input_cfg("randaugment2"))
    with pytest.raises(ValueError, match=r"INPUT.INTERPOLATION is 'cubic'; choose one of bilinear"):
        steps(input_cfg(mode="cubic"))
