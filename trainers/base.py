"""What every method shares: building, freezing, precision, stepping, saving, loading, results - once.

A method's file adds its options (a dataclass that is its config node), its model, and what it needs before training.
The loop is the built-in engine's under both hosts: real Dassl's schedules and checkpoints fail on current torch.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from yacs.config import CfgNode

from mpafer.clip import load_clip
from mpafer.config import differences
from mpafer.datasets.labels import load_descriptions
from mpafer.engine import distributed
from mpafer.engine.builtin.optim import build_optimizer
from mpafer.engine.builtin.trainer import TrainerX
from mpafer.engine.builtin.utils import grad_scaler
from mpafer.engine.checkpoint import run_identity
from mpafer.engine.record import record_run
from mpafer.engine.schedule import build_lr_scheduler
from mpafer.options import Options
from mpafer.prompting.losses import balanced_weights
from mpafer.prompting.precision import needs_scaler
from mpafer.prototypes import cached_prototypes, draw_per_class

logger = logging.getLogger(__name__)
CLASS_WEIGHTS = ("none", "balanced")  # TRAIN.CLASS_WEIGHTS
METHODS: dict[str, type[PromptTrainer]] = {}


def register(trainer: type[PromptTrainer]) -> type[PromptTrainer]:
    """Class decorator: enter a method under its class name."""
    METHODS[trainer.__name__] = trainer
    return trainer


class PromptTrainer(TrainerX):
    """Trains what a `FrozenClip` declares as learnable. A method sets the class attributes."""

    node: ClassVar[str]  # config node under TRAINER
    Options: ClassVar[type[Options]]
    Model: ClassVar[Any]  # (clip, classnames, options, **teachers) -> FrozenClip
    takes: ClassVar[tuple[str, ...]] = ()  # teachers that `mpafer.build_model` may hand to the model
    untaught: ClassVar[dict[str, Any]] = {}  # options that leave out what only training needs
    model: Any  # a FrozenClip

    @classmethod
    def options_from(cls, cfg: Any) -> Any:
        """The method's options. A node may be shared: what is another method's alone must be at its default.

        Raises:
            ValueError: an unknown option, another method's, or a value it cannot take.
        """
        node, own = dict(cfg.TRAINER[cls.node]), cls.Options().node().keys()
        for name, other in METHODS.items():
            for key, default in other.Options().node().items() if other.node == cls.node else ():
                if key in node and key not in own and node.pop(key) != default:
                    raise ValueError(f"TRAINER.{cls.node}.{key} is an option of {name}, {cls.__name__} has none such")
        return cls.Options.of(node)

    def check_cfg(self, cfg: Any) -> None:
        self.options = self.options_from(cfg)
        if cfg.TRAIN.CLASS_WEIGHTS not in CLASS_WEIGHTS:
            raise ValueError(
                f"TRAIN.CLASS_WEIGHTS is {cfg.TRAIN.CLASS_WEIGHTS!r}; choose one of {', '.join(CLASS_WEIGHTS)}"
            )
        if self.balances(cfg) and cfg.DATALOADER.TRAIN_X.SAMPLER == "BalancedSampler":
            logger.warning("BalancedSampler and TRAIN.CLASS_WEIGHTS balanced: the imbalance is corrected twice")

    @staticmethod
    def balances(cfg: Any) -> bool:
        """Whether the classes weigh the same in the loss, however many images they have."""
        return bool(cfg.TRAIN.CLASS_WEIGHTS == "balanced")

    def teachers(self) -> dict[str, Any]:
        """What the model takes beside backbone, class names and options, from the start on."""
        path = self.cfg.DATASET.DESCRIPTIONS if "descriptions" in self.takes else ""
        return {"descriptions": load_descriptions(path, self.classnames)} if path else {}

    def build_model(self) -> None:
        cfg = self.cfg
        self.classnames = [self.lab2cname[label] for label in range(self.num_classes)]
        clip = load_clip(cfg.MODEL.BACKBONE.NAME, device=self.device)
        size = clip.visual.image_size
        if tuple(cfg.INPUT.SIZE) != (size, size):
            raise ValueError(f"INPUT.SIZE is {tuple(cfg.INPUT.SIZE)}, but {clip.name} takes {(size, size)}")
        self.model = self.Model(clip, self.classnames, self.options, **self.teachers()).to(self.device)
        self.model.spare_patches = True
        self.model.clip.checkpoint_activations(cfg.TRAIN.CHECKPOINTING)
        if cfg.TRAIN.COMPILE:
            self.model.clip.compile_blocks()
        learnable = self.model.learnable
        self.learnable_values = sum(parameter.numel() for parameter in learnable.values())
        print(f"Backbone {clip.name} ({clip.fingerprint}) frozen, {self.options.prec}")
        print(f"Learnable: {', '.join(learnable) or 'nothing'}: {self.learnable_values:,} values")
        if not learnable:
            return
        if self.balances(cfg):
            labels = torch.tensor([item.label for item in self.dm.dataset.train_x])
            self.model.class_weights = balanced_weights(labels, self.num_classes).to(self.device)
            shown = zip(self.classnames, self.model.class_weights.tolist(), strict=True)
            print(f"Class weights: {', '.join(f'{name} {weight:.3f}' for name, weight in shown)}")
        self.optim = build_optimizer(self.model.prompts, cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        self.register_model("prompts", self.model.prompts, self.optim, self.sched)
        self.scaler = grad_scaler(self.device.type, enabled=needs_scaler(self.options.prec, self.device))
        self.parallel = distributed.wrap(self.model)

    def class_prototypes(self, shots: int = -1) -> Tensor:
        """Mean un-prompted feature of each class's training images, ``shots`` of them or all: [C, D]."""
        prototypes = torch.empty(0)
        if distributed.is_main():
            prototypes = cached_prototypes(
                self.model.clip, *self.plain_training_images(shots), num_classes=self.num_classes
            )
        return distributed.from_main(prototypes.cpu()).to(self.device)

    def plain_training_images(self, shots: int = -1) -> tuple[list[Any], Any, int, int]:
        """``shots`` training images of each class or all, the transform without augmentation, batch size, workers."""
        items = draw_per_class(self.dm.dataset.train_x, shots, self.seed)
        tested: Any = self.test_loader.dataset  # has the transform without augmentation
        loading = self.cfg.DATALOADER
        return items, tested.transforms[0], loading.TEST.BATCH_SIZE, loading.NUM_WORKERS

    def parse_batch_train(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        return self.parse_batch_test(batch)

    def set_model_mode(self, mode: str = "train", names: Any = None) -> None:
        super().set_model_mode(mode, names)
        self.model.train(mode == "train")  # the prompts alone are registered

    def train(self) -> None:  # type: ignore[override]
        if self.model.learnable:
            if getattr(self.dm.dataset, "test_only", False):
                raise ValueError(
                    f"{self.cfg.DATASET.NAME} has no training images here, it is a test set: train on another data set "
                    "and test on this one with python -m mpafer.cross RUN --dataset NAME"
                )
            super().train()
        else:
            self.test()

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        images, labels = self.parse_batch_train(batch)
        out = self.parallel(images)
        losses = self.model.losses(out, labels)
        loss = torch.stack(list(losses.values())).sum()
        self.model_backward_and_update(loss, terms=losses)
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        accuracy = 100 * (out.logits.argmax(dim=1) == labels).float().mean()
        return {"loss": loss.detach(), "acc": accuracy} | {name: term.detach() for name, term in losses.items()}

    def model_inference(self, images: Tensor) -> Tensor:
        return self.model(images).logits

    # --- checkpoints

    def identity(self) -> dict[str, Any]:
        """What a checkpoint must share with the run that loads it."""
        shapes = {name: list(parameter.shape) for name, parameter in self.model.learnable.items()}
        return {
            "method": type(self).__name__,
            "backbone": self.model.clip.fingerprint,
            "classnames": self.classnames,
            "shapes": shapes,
        }

    def extra_state(self) -> dict[str, Any]:
        return super().extra_state() | {"identity": self.identity(), "config": self.cfg.dump()}

    def check_state(self, state: dict[str, Any], path: Path, resuming: bool) -> None:
        theirs, extra = run_identity(state, path), state["extra"]
        for key, value in self.identity().items():
            if theirs[key] != value:
                raise ValueError(f"{path} is of another {key}: {theirs[key]} there, {value} in this run")
        if resuming and (differing := differences(CfgNode.load_cfg(extra["config"]), self.cfg, self.node)):
            listed = "; ".join(f"{key} {theirs!r} there, {mine!r} here" for key, (theirs, mine) in differing.items())
            raise ValueError(f"{path} was trained with other options ({listed}): go on with the same, or elsewhere")

    def test(self, split: str | None = None) -> float:
        """As Dassl's; the final evaluation (no ``split`` given) writes results.json and scores.npz too."""
        result = super().test(split)
        if split is None and distributed.is_main():
            record_run(self, self.classnames, self.learnable_values)
        return result
