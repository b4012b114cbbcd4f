"""The base of all methods: it builds the model, computes prototypes, and checks that a checkpoint fits.

A method's file adds its options (a dataclass that is its config node), its model, and its steps before training.
`mpafer.engine.trainer` has the loop, also in a checkout on Dassl.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from yacs.config import CfgNode

from mpafer.clip import load_clip
from mpafer.common import distributed
from mpafer.common.config import set_value
from mpafer.common.errors import OptionError
from mpafer.common.extensions import enter
from mpafer.common.identity import NOT_READ
from mpafer.common.options import Options, check_choice
from mpafer.datasets import find_dataset
from mpafer.engine.loading import check_identity, check_options, note_whose_weights
from mpafer.engine.made_of import of_images, of_texts
from mpafer.engine.optim import build_optimizer
from mpafer.engine.prototypes import cached_prototypes, draw_per_class
from mpafer.engine.schedule import build_lr_scheduler
from mpafer.engine.trainer import Trainer
from mpafer.inputs.datum import Datum, SplitDataset
from mpafer.inputs.transforms import Transform
from mpafer.prompting.descriptions import load_descriptions
from mpafer.prompting.losses import balanced_class_weights
from mpafer.prompting.model import FrozenClip
from mpafer.prompting.precision import grad_scaler, needs_scaler

logger = logging.getLogger(__name__)
CLASS_WEIGHTS = ("none", "balanced")  # TRAIN.CLASS_WEIGHTS
METHODS: dict[str, type[PromptTrainer]] = {}


def register_method(trainer: type[PromptTrainer]) -> type[PromptTrainer]:
    """Class decorator: enter a method under its class name; raises OptionError where another one has it."""
    enter(METHODS, trainer)
    return trainer


@dataclass(frozen=True)
class Case:
    """What the contract tests try on a method, beside its tiny.yaml: options of its own, in lower case."""

    reshaped: Mapping[str, Any] = field(default_factory=dict)  # values with which a checkpoint has other shapes
    too_deep: tuple[str, int] | None = None  # an option, and one more layer than the tiny CLIP has


class PromptTrainer(Trainer):
    """Trains the parameters that a `FrozenClip` declares as learnable. A method sets the class attributes."""

    node: ClassVar[str]  # config node under TRAINER
    Options: ClassVar[type[Options]]
    Model: ClassVar[Callable[..., FrozenClip]]  # (clip, classnames, options, **teachers)
    per_class: ClassVar[bool | str] = True  # what it learns belongs to the classes; or: where this option is True
    class_prompts: ClassVar[bool] = True  # False: no prompts of the classes, `Output.embeddings` is None
    accepts: ClassVar[tuple[str, ...]] = ()  # teachers that `mpafer.build_model` may hand to the model
    inference_overrides: ClassVar[dict[str, Any]] = {}  # options to build a model that is not trained any more
    case: ClassVar[Case] = Case()

    @classmethod
    def options_from(cls, cfg: CfgNode) -> Any:
        """The method's options. Methods may share a node: the options of others must be at their defaults.

        Raises:
            OptionError: an unknown option, another method's, or a value it cannot take.
        """
        node, own = dict(cfg.TRAINER[cls.node]), cls.Options().node().keys()
        for name, other in METHODS.items():
            for key, default in other.Options().node().items() if other.node == cls.node else ():
                if key in node and key not in own and node.pop(key) != default:
                    raise OptionError(f"TRAINER.{cls.node}.{key} is an option of {name}, {cls.__name__} has none such")
        return cls.Options.of(node)

    @property
    def bound_by(self) -> str:
        """Whose learning belongs to the classes, in words; "" = it does not, and can stand beside other class names."""
        name, bound = type(self).__name__, self.per_class
        if isinstance(bound, str):
            return f"{name} with {bound} True" if self.cfg.TRAINER[self.node][bound] else ""
        return name if bound else ""

    @classmethod
    def untaught(cls, options: Any, teachers: Collection[str]) -> str:
        """What a model with these teachers alone would train without, in words; "" = nothing."""
        return ""

    def check_cfg(self, cfg: CfgNode) -> None:
        self.options = self.options_from(cfg)
        check_choice("TRAIN.CLASS_WEIGHTS", cfg.TRAIN.CLASS_WEIGHTS, CLASS_WEIGHTS)
        if self.balances(cfg) and cfg.DATALOADER.TRAIN_X.SAMPLER == "BalancedSampler":
            logger.warning("BalancedSampler and TRAIN.CLASS_WEIGHTS balanced: the imbalance is corrected twice")

    @staticmethod
    def balances(cfg: CfgNode) -> bool:
        """Whether the classes weigh the same in the loss, however many images they have."""
        return bool(cfg.TRAIN.CLASS_WEIGHTS == "balanced")

    def load_dataset(self, cfg: CfgNode) -> SplitDataset:
        return find_dataset(cfg.DATASET.NAME)(cfg)

    @property
    def wanted_teachers(self) -> tuple[str, ...]:
        """``accepts``; but to evaluate what was trained nothing is aligned, so none."""
        return () if self.eval_only and self.learns else self.accepts

    def teachers(self) -> dict[str, Any]:
        """Further arguments of the model: the user's descriptions, where there are any and the method wants them."""
        path = self.cfg.DATASET.DESCRIPTIONS if "descriptions" in self.wanted_teachers else ""
        return {"descriptions": load_descriptions(path, self.classnames)} if path else {}

    def build_model(self) -> None:
        cfg = self.cfg
        clip = load_clip(cfg.MODEL.BACKBONE.NAME, device=self.device, activation=cfg.MODEL.BACKBONE.ACTIVATION)
        set_value(cfg, "MODEL.BACKBONE.ACTIVATION", clip.activation)  # what was guessed is the run's from here on
        size = clip.visual.image_size
        if tuple(cfg.INPUT.SIZE) != (size, size):
            raise OptionError(f"INPUT.SIZE is {tuple(cfg.INPUT.SIZE)}, but {clip.name} takes {(size, size)}")
        found = {}
        if distributed.is_main():  # of one process's reading, for all
            found = of_texts(cfg, self.classnames, self.wanted_teachers) | of_images(cfg, self.dm.dataset)
        self.made_of = {"backbone": clip.fingerprint} | distributed.from_main(found)
        if NOT_READ in self.made_of.values():
            logger.info("the images' contents are not known until all were read: names, sizes and labels tell the data")
            self.dm.note_contents()
        options = replace(self.options, **self.inference_overrides) if self.eval_only else self.options
        self.model = self.Model(clip, self.classnames, options, **self.teachers()).to(self.device)
        self.model.spare_patches = True
        self.model.clip.checkpoint_activations(cfg.TRAIN.CHECKPOINTING)
        if cfg.TRAIN.COMPILE:
            self.model.clip.compile_blocks()
        learnable = self.model.learnable
        values = sum(parameter.numel() for parameter in learnable.values())
        print(f"Backbone {clip.name} ({clip.fingerprint}) frozen, {clip.activation}, {self.options.prec}")
        print(f"Learnable: {', '.join(learnable) or 'nothing'}: {values:,} values")
        if not learnable:
            return
        if self.balances(cfg):
            labels = torch.tensor([item.label for item in self.dm.dataset.train_x])
            self.model.class_weights = balanced_class_weights(labels, self.dm.num_classes).to(self.device)
            shown = zip(self.display_names, self.model.class_weights.tolist(), strict=True)
            print(f"Class weights: {', '.join(f'{name} {weight:.3f}' for name, weight in shown)}")
        self.trained = self.model.prompts
        self.optim = build_optimizer(self.trained, cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        self.scaler = grad_scaler(self.device.type, enabled=needs_scaler(self.options.prec, self.device))
        self.parallel = distributed.wrap(self.model)

    def class_prototypes(self, shots: int = -1) -> Tensor:
        """Mean feature, without prompts, of ``shots`` training images of each class (-1: all): [C, D]."""
        prototypes = torch.empty(0)
        if distributed.is_main():
            images = self.plain_training_images(shots)
            prototypes = cached_prototypes(self.model.clip, *images, num_classes=self.dm.num_classes)
        return distributed.from_main(prototypes.cpu()).to(self.device)

    def plain_training_images(self, shots: int = -1) -> tuple[list[Datum], Transform, int, int]:
        """``shots`` training images of each class or all, the transform without augmentation, batch size, workers."""
        items = draw_per_class(self.dm.dataset.train_x, shots, self.seed)
        loading = self.cfg.DATALOADER
        return items, self.dm.plain_transform, loading.TEST.BATCH_SIZE, loading.NUM_WORKERS

    def train(self) -> None:
        if self.trained is not None and getattr(self.dm.dataset, "test_only", False):
            raise OptionError(
                f"{self.cfg.DATASET.NAME} has no training images here, it is a test set: train on another data set "
                "and test on this one with python -m mpafer.cross RUN --dataset NAME"
            )
        super().train()

    # --- checkpoints

    def identity(self) -> dict[str, Any]:
        """The values that a checkpoint must share with the run that loads it."""
        shapes = {name: list(parameter.shape) for name, parameter in self.model.learnable.items()}
        return {
            "method": type(self).__name__,
            "activation": self.model.clip.activation,
            "backbone": self.model.clip.fingerprint,
            "classnames": self.classnames,
            "shapes": shapes,
        }

    def extra_state(self) -> dict[str, Any]:
        return super().extra_state() | {
            "identity": self.identity(), "display_names": self.display_names, "config": self.cfg.dump(),
            "made_of": dict(self.made_of),
        }  # fmt: skip

    def check_state(self, state: dict[str, Any], path: Path, *, resuming: bool) -> None:
        check_identity(state, path, self.identity(), resuming=resuming, bound_by=self.bound_by)
        check_options(state, path, self.cfg, self.node, self.made_of, resuming=resuming, force=self.force)

    def weights_loaded(self, state: dict[str, Any], path: Path) -> None:
        note_whose_weights(self, state, path)
