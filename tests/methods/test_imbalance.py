"""Against imbalance: the balanced sampler, class weights of the cross-entropy, and runs with either."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support import toy as engine_toy
from support.models import CLASSES, random_clip
from support.runs import arguments, environment, interrupt, make_trainer, make_world, prompts, results, run, scores

import mpafer
from mpafer.common import distributed
from mpafer.common.errors import CheckpointError
from mpafer.inputs.datum import Datum
from mpafer.inputs.loaders import DataManager, build_loader
from mpafer.inputs.samplers import BatchSampler, Draw, image_weights
from mpafer.inputs.transforms import compose, plain_steps
from mpafer.prompting import losses
from mpafer.trainers import METHODS
from mpafer.trainers.linear_probe import fit

COUNTS = (900, 90, 10)  # images of the classes
LABELS = [label for label, count in enumerate(COUNTS) for _ in range(count)]
BALANCED = {"DATALOADER.TRAIN_X.SAMPLER": "BalancedSampler"}
WEIGHTED = {"TRAIN.CLASS_WEIGHTS": "balanced"}


def sampler(balanced: bool = True, drop_last: bool = False) -> BatchSampler:
    weights = image_weights(LABELS) if balanced else None
    return BatchSampler(len(LABELS), 32, shuffle=True, drop_last=drop_last, seed=5, weights=weights)


def epoch(drawing: BatchSampler, number: int, seed: int = 5) -> list[list[Draw]]:
    drawing.set_epoch(number, seed)
    return list(drawing)


# --- sampler


def test_every_class_and_every_image_of_a_class_is_as_likely() -> None:
    drawing, drawn = sampler(), Counter[int]()
    for number in range(30):
        whole = [draw.image for batch in epoch(drawing, number) for draw in batch]
        assert len(whole) == 1000
        drawn.update(whole)
    shares = [sum(drawn[image] for image in range(1000) if LABELS[image] == label) / 30_000 for label in range(3)]
    assert all(abs(share - 1 / 3) < 4 * (2 / 9 / 30_000) ** 0.5 for share in shares), shares
    rare = np.array([drawn[image] for image in range(990, 1000)])  # 1000 times each, on average
    assert abs(rare - 1000).max() < 5 * 1000**0.5
    plain = Counter(LABELS[draw.image] for batch in epoch(sampler(balanced=False), 0) for draw in batch)
    assert tuple(plain[label] for label in range(3)) == COUNTS  # control: the plain order has the data set's shares


def test_the_draw_is_a_function_of_seed_and_epoch() -> None:
    first = epoch(sampler(), 3)
    torch.manual_seed(99)
    assert epoch(sampler(), 3) == first
    assert epoch(sampler(), 4) != first and epoch(sampler(), 3, seed=6) != first
    assert len(sampler()) == 32 and len(sampler(drop_last=True)) == 31 == len(epoch(sampler(drop_last=True), 0))


def test_two_ranks_share_the_draw_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = sampler(drop_last=True)
    whole = epoch(drawing, 2)
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        parts.append(epoch(drawing, 2))
    assert [a + b for a, b in zip(*parts, strict=True)] == whole
    first, second = ({image for batch in part for image in batch} for part in parts)
    assert not first & second  # no repetition of an image on two ranks
    assert len(first) + len(second) == 31 * 32


def test_repetitions_of_an_image_are_augmented_anew(tmp_path: Path) -> None:
    engine_toy.draw_images(tmp_path)
    pairs = [item for pair in BALANCED.items() for item in pair]
    cfg = engine_toy.toy_cfg(tmp_path, tmp_path, *pairs)
    loader = DataManager(cfg, engine_toy.ToyFaces(str(tmp_path))).train_loader

    def images() -> list[tuple[int, torch.Tensor]]:
        return [pair for batch in loader for pair in zip(batch["index"].tolist(), batch["img"], strict=True)]

    drawn = images()
    index, times = Counter(number for number, _ in drawn).most_common(1)[0]
    same = [image for number, image in drawn if number == index]
    assert max(number for number, _ in drawn) < 24 and times > 1
    assert not any(torch.equal(same[0], other) for other in same[1:])
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(drawn, images(), strict=True))


def test_sampler_errors(cfg: Any) -> None:
    items, transform = [Datum("a", 0)], compose(plain_steps(cfg.INPUT))
    with pytest.raises(ValueError, match=r"RandomSampler, BalancedSampler, SequentialSampler"):
        build_loader(cfg, items, transform, sampler="BalanceSampler", training=True)
    with pytest.raises(ValueError, match="an evaluation takes every image once"):
        build_loader(cfg, items, transform, sampler="BalancedSampler")


# --- weights


def test_weights_are_balanced_and_of_mean_one() -> None:
    labels = torch.tensor(LABELS)
    weights = losses.balanced_class_weights(labels, 3)
    torch.testing.assert_close(weights, 1000 / (3 * torch.tensor(COUNTS)))
    torch.testing.assert_close(weights[labels].mean(), torch.tensor(1.0))


def test_the_weighted_loss_is_torchs_over_the_batch_size() -> None:
    torch.manual_seed(0)
    logits, labels, weights = torch.randn(64, 3), torch.randint(0, 3, (64,)), torch.tensor([0.4, 3.7, 33.3])
    found = losses.weighted_cross_entropy(logits, labels, weights)
    torch.testing.assert_close(found, F.cross_entropy(logits, labels, weight=weights, reduction="sum") / 64)
    torch.testing.assert_close(losses.weighted_cross_entropy(logits, labels), F.cross_entropy(logits, labels))
    own = losses.balanced_class_weights(labels, 3)  # where the batch is the training set, it is torch's weighted mean
    found = losses.weighted_cross_entropy(logits, labels, own)
    torch.testing.assert_close(found, F.cross_entropy(logits, labels, weight=own))
    halves = [losses.weighted_cross_entropy(logits[i::2], labels[i::2], weights) for i in range(2)]
    torch.testing.assert_close(sum(halves) / 2, losses.weighted_cross_entropy(logits, labels, weights))
    theirs = [F.cross_entropy(logits[i::2], labels[i::2], weight=weights) for i in range(2)]
    with pytest.raises(AssertionError):  # control: torch's mean over two processes is not that of one
        torch.testing.assert_close(sum(theirs) / 2, F.cross_entropy(logits, labels, weight=weights))


@pytest.mark.parametrize("method", METHODS)
def test_weights_change_the_cross_entropy_of_every_method_and_nothing_else(method: str) -> None:
    deep = {key: 2 for key in METHODS[method].Options().node() if "DEPTH" in key}
    torch.manual_seed(1)
    model = mpafer.build_model(method, random_clip(), CLASSES, **deep)
    out, labels = model(torch.randn(9, 3, 32, 32)), torch.arange(9) % 7
    plain = model.losses(out, labels)
    model.class_weights = torch.arange(1.0, 8.0)
    weighted = model.losses(out, labels)
    expected = (model.class_weights[labels] * F.cross_entropy(out.logits, labels, reduction="none")).mean()
    torch.testing.assert_close(weighted.pop("ce_loss"), expected)
    assert abs(expected - plain.pop("ce_loss")) > 0.1
    assert weighted.keys() == plain.keys() and all(torch.equal(weighted[name], plain[name]) for name in plain)
    assert "class_weights" not in model.state_dict()


def test_a_balanced_probe_finds_the_rare_class() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [400, 20])
    features = rng.normal(labels[:, None] * 1.2, 1, (420, 2)).astype(np.float32)

    def recall(balanced: bool) -> float:
        weight, bias, _ = fit(features, labels, 0.0, 1, balanced)
        return float(((features[labels == 1] @ weight.T + bias) > 0).mean())

    assert recall(True) > 0.6 > 0.4 > recall(False)


# --- runs


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature RAF-DB of which the classes from the second on have lost most of their training images."""
    folder = make_world(tmp_path_factory.mktemp("world"), train=12)
    path = folder / "data/RAF-DB/basic/EmoLabel/list_patition_label.txt"
    kept, counts = [], Counter[str]()
    for line in path.read_text().splitlines():
        name, label = line.split()
        counts[label] += name.startswith("train")
        if name.startswith("test") or label == "1" or counts[label] <= 4:
            kept.append(line)
    path.write_text("\n".join(kept))
    return folder


def test_both_are_recorded_and_change_the_run(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings: dict[str, dict[str, str]] = {"plain": {}, "balanced": BALANCED, "weighted": WEIGHTED}
    for name, options in settings.items():
        make_trainer(world, tmp_path / name, "CoOp", **{"OPTIM.MAX_EPOCH": 1}, **options).train()
        weights = "Class weights: surprise 0.429, fear 1.286," in capsys.readouterr().out
        assert weights == (name == "weighted")
        record = results(tmp_path / name)["config"]
        assert record["TRAIN"]["CLASS_WEIGHTS"] == ("balanced" if name == "weighted" else "none")
        assert (record["DATALOADER"]["TRAIN_X"]["SAMPLER"] == "BalancedSampler") == (name == "balanced")
    made = [scores(tmp_path / name) for name in settings]
    assert not np.array_equal(made[0], made[1]) and not np.array_equal(made[0], made[2])
    with pytest.raises(CheckpointError, match=r"TRAIN\.CLASS_WEIGHTS 'none' there, 'balanced' here"):
        make_trainer(world, tmp_path / "plain", "CoOp", **{"OPTIM.MAX_EPOCH": 1}, **WEIGHTED).train()


def test_a_resumed_run_equals_the_uninterrupted_one(world: Path, tmp_path: Path) -> None:
    def trained(name: str, stop: int | None = None) -> Any:
        trainer = make_trainer(world, tmp_path / name, "CoOp", **BALANCED, **WEIGHTED)
        if stop is None:
            trainer.train()
            return trainer

        interrupt(trainer, stop)

    whole = trained("whole")
    trained("broken", stop=2)
    resumed = trained("broken")
    assert resumed.start_epoch == 2
    assert all(torch.equal(value, resumed.model.learnable[name]) for name, value in whole.model.learnable.items())
    assert np.array_equal(scores(tmp_path / "whole"), scores(tmp_path / "broken"))


def test_two_processes_give_the_result_of_one(world: Path, tmp_path: Path) -> None:
    options = BALANCED | WEIGHTED | {"OPTIM.MAX_EPOCH": "1"}
    alone = run(world, tmp_path / "one", **options)
    assert alone.returncode == 0 and "the imbalance is corrected twice" in alone.stdout, alone.stderr
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *launch, *arguments(world, tmp_path / "two", **options)]
    both = subprocess.run(command, env=environment(world), capture_output=True, text=True)
    assert both.returncode == 0, both.stderr
    np.testing.assert_allclose(scores(tmp_path / "two"), scores(tmp_path / "one"), atol=1e-3)
    for name, value in prompts(tmp_path / "one").items():
        torch.testing.assert_close(prompts(tmp_path / "two")[name], value, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("CoOp", {"TRAIN.CLASS_WEIGHTS": "balance"}, "CLASS_WEIGHTS is 'balance'; choose one of none, balanced"),
        ("CoOp", {"DATALOADER.TRAIN_X.SAMPLER": "Balanced"}, r"'Balanced'.*RandomSampler, BalancedSampler"),
        ("LinearProbe", BALANCED, "LinearProbe draws no batches"),
    ],
)
def test_unknown_names_are_clear_errors(
    world: Path, tmp_path: Path, method: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_trainer(world, tmp_path / "out", method, **options)
