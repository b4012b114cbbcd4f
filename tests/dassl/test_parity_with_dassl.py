"""Our own runner and real Dassl: the same tree, draws, images, rates, steps and figures, and the same runs.

With Dassl installed: ``python -m pytest -m reference tests/dassl``. Without it these tests are skipped.
"""

from __future__ import annotations

import random
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.checkouts import guest_configs, make_data, own_runner, steps, words
from support.commands import run_command
from support.runs import results, scores
from support.standin import foreign_packages, has_dassl, make_checkout, rates
from yacs.config import CfgNode

import mpafer
from mpafer.common.config import leaves
from mpafer.common.defaults import IGNORED, REFUSED, default_config
from mpafer.datasets.draws import draw_shots
from mpafer.engine.optim import build_optimizer
from mpafer.engine.schedule import build_lr_scheduler
from mpafer.evaluation.metrics import classification_metrics
from mpafer.inputs.datum import Datum
from mpafer.inputs.transforms import compose, plain_steps, training_steps

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not has_dassl(), reason="Dassl is not installed here"),
    pytest.mark.filterwarnings("ignore"),
]


def dassl(name: str) -> Any:
    return import_module(f"dassl.{name}")


def both_trees(*options: Any) -> tuple[CfgNode, CfgNode]:
    """Dassl's config tree and ours, with the same options."""
    trees = dassl("config").get_cfg_default(), default_config()
    for tree in trees:
        tree.merge_from_list(list(options))
    return trees


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


# --- parts


def test_every_key_of_dassls_is_ours_or_refused_or_ignored() -> None:
    """At its default. What is left is of other people's methods and networks."""
    theirs, ours = (dict(leaves(tree)) for tree in both_trees())
    for key, value in theirs.items():
        expected = ours[key] if key in ours else REFUSED.get(key, (None,))[0]
        of_nobody = any(key == name or key.startswith(f"{name}.") for name in IGNORED)
        of_others = key.startswith("TRAINER.") and key not in ours
        assert of_nobody or of_others or plain(value) == plain(expected), key
    assert REFUSED.keys() <= theirs.keys() and not REFUSED.keys() & ours.keys()


def test_few_images_are_drawn_as_dassl_draws(tmp_path: Path) -> None:
    labels = torch.randint(7, (200,)).tolist()
    items = [Datum(str(tmp_path / f"{i}.png"), label, 0, str(label)) for i, label in enumerate(labels)]
    for item in items:
        Path(item.impath).touch()  # Dassl looks
    theirs = dassl("data.datasets")
    as_theirs = [theirs.Datum(item.impath, item.label, classname=item.classname) for item in items]
    base = theirs.DatasetBase(train_x=as_theirs, test=as_theirs)

    def drawn(seed: int) -> list[str]:
        random.seed(seed)
        return [item.impath for item in base.generate_fewshot_dataset(as_theirs, num_shots=4)]

    ours = [item.impath for item in draw_shots(items, [], 4, seed=3)[0]]
    assert ours == drawn(3) and len(ours) == 28
    assert ours != drawn(4)  # control


@pytest.mark.parametrize(
    "names",
    [
        ("random_flip", "normalize"),
        ("random_resized_crop", "random_flip", "normalize"),
        ("random_crop", "colorjitter", "randomgrayscale", "normalize"),
        ("random_resized_crop", "instance_norm"),
    ],
)
def test_transforms_give_dassls_images_from_dassls_random_numbers(names: tuple[str, ...]) -> None:
    """Those that Dassl takes from torchvision; its others draw from other generators."""
    options = ("INPUT.SIZE", (32, 32), "INPUT.INTERPOLATION", "bicubic", "INPUT.TRANSFORMS", names)
    theirs, ours = both_trees(*options)
    build = dassl("data.transforms").build_transform
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 40, 3), dtype=np.uint8))

    def made(transform: Any, seed: int) -> torch.Tensor:
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        return torch.stack([transform(image) for _ in range(8)])

    training = compose(training_steps(ours.INPUT))
    torch.testing.assert_close(made(training, 0), made(build(theirs, is_train=True), 0), atol=0, rtol=0)
    assert not torch.equal(made(training, 0), made(training, 1))  # control
    evaluation = compose(plain_steps(ours.INPUT))
    torch.testing.assert_close(made(evaluation, 0), made(build(theirs, is_train=False), 0), atol=0, rtol=0)


@pytest.mark.parametrize("decay", ["cosine", "single_step", "multi_step"])
@pytest.mark.parametrize("warmup", ["constant", "linear"])
def test_rates_are_those_of_dassls_repaired_schedules(decay: str, warmup: str) -> None:
    mpafer.repair_dassl()
    options = ("OPTIM.WARMUP_EPOCH", 2, "OPTIM.MAX_EPOCH", 12, "OPTIM.LR", 0.032, "OPTIM.LR_SCHEDULER", decay)
    options += ("OPTIM.WARMUP_TYPE", warmup, "OPTIM.STEPSIZE", (3, 7) if decay == "multi_step" else (5,))
    found = []
    for tree, build in zip(both_trees(*options), (dassl("optim").build_lr_scheduler, build_lr_scheduler), strict=True):
        optim = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=tree.OPTIM.LR)
        found.append(rates(optim, build(optim, tree.OPTIM), 12))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)
    assert len(set(found[1])) >= 3


@pytest.mark.parametrize("name", ["sgd", "adam", "amsgrad", "adamw", "rmsprop", "radam"])
def test_optimisers_take_dassls_steps(name: str) -> None:
    found = []
    for tree, build in zip(
        both_trees("OPTIM.NAME", name, "OPTIM.LR", 0.01), (dassl("optim").build_optimizer, build_optimizer), strict=True
    ):
        torch.manual_seed(0)
        layer = torch.nn.Linear(5, 3)
        optim = build(layer, tree.OPTIM)
        for images in torch.randn(6, 4, 5):
            optim.zero_grad()
            layer(images).square().sum().backward()
            optim.step()
        found.append(layer.weight.detach())
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-5)


def test_figures_are_those_of_dassls_evaluator() -> None:
    tree, _ = both_trees("TEST.PER_CLASS_RESULT", True)
    names = [f"class {label}" for label in range(7)]
    judge = dassl("evaluation").build_evaluator(tree, lab2cname=dict(enumerate(names)))
    outputs, labels = torch.randn(200, 7), torch.arange(200) % 7
    judge.process(outputs, labels)
    theirs, ours = judge.evaluate(), classification_metrics(labels, outputs, names)
    assert ours["accuracy"] == pytest.approx(theirs["accuracy"], abs=1e-9)
    assert ours["macro_f1"] == pytest.approx(theirs["macro_f1"], abs=1e-9)
    assert ours["uar"] == pytest.approx(theirs["perclass_accuracy"], abs=1e-9)


# --- whole runs


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("dataset", ["rafdb", "sketchfer"])
def test_a_run_on_dassl_is_our_own_runners(data: Path, dataset: str, tmp_path: Path) -> None:
    """One config and seed: images, order, rates, losses of every step, predictions; and each reads the other's file."""
    checkout = make_checkout(tmp_path / "checkout", two_lines=True)

    def guest(*arguments: str) -> str:
        with foreign_packages():
            return run_command(str(checkout), *arguments)

    yaml = ("--config-file", str(guest_configs() / "trainers/MPAFER/tiny.yaml"))
    runners = {"dassl": guest, "mpafer": own_runner}
    logs = {
        name: run(*words(data, tmp_path / name, "MPAFER", dataset, *yaml, "--backbone", "tiny"))
        for name, run in runners.items()
    }
    assert all(results(tmp_path / name)["engine"]["name"] == name for name in runners)
    assert steps(logs["dassl"]) == steps(logs["mpafer"]) and len(steps(logs["dassl"])) >= 4
    np.testing.assert_array_equal(scores(tmp_path / "dassl"), scores(tmp_path / "mpafer"))
    flags = ("--eval-only", "--model-dir", str(tmp_path / "dassl"), "--load-epoch", "2")
    own_runner(*words(data, tmp_path / "read", "MPAFER", dataset, *yaml, *flags))
    np.testing.assert_array_equal(scores(tmp_path / "read"), scores(tmp_path / "dassl"))
    other = words(data, tmp_path / "other", "MPAFER", dataset, *yaml)
    other[other.index("--seed") + 1] = "2"
    assert steps(own_runner(*other)) != steps(logs["dassl"])  # control
