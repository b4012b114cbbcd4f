"""What every method shares: building, freezing, precision, stepping, saving, loading, results - once.

A method's file adds its options (a dataclass that is its config node), its model, and what it needs before training.
The loop is the built-in engine's under both hosts: real Dassl's schedules and checkpoints fail on current torch.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import torch
import yaml
from torch import Tensor

from mpafer.clip import load_clip
from mpafer.engine import distributed, host
from mpafer.engine.builtin.optim import build_optimizer
from mpafer.engine.builtin.trainer import TrainerX
from mpafer.engine.checkpoint import checkpoint_path, latest_epoch
from mpafer.engine.results import write_results
from mpafer.engine.schedule import build_lr_scheduler
from mpafer.options import Options
from mpafer.prompting.model import PromptedClip
from mpafer.prompting.precision import needs_scaler
from mpafer.prototypes import cached_prototypes, draw_per_class

METHODS: dict[str, type[PromptTrainer]] = {}


def register(trainer: type[PromptTrainer]) -> type[PromptTrainer]:
    """Class decorator: enter a method under its class name."""
    METHODS[trainer.__name__] = trainer
    return trainer


class PromptTrainer(TrainerX):
    """Trains the prompts of a `PromptedClip`. A method sets the three class attributes and is final."""

    node: ClassVar[str]  # config node under TRAINER
    Options: ClassVar[type[Options]]
    Model: ClassVar[Any]  # (clip, classnames, options, **teachers) -> PromptedClip
    model: PromptedClip

    def check_cfg(self, cfg: Any) -> None:
        self.options: Any = self.Options.of(cfg.TRAINER[self.node])

    def teachers(self) -> dict[str, Any]:
        """What the model takes beside backbone, class names and options."""
        return {}

    def build_model(self) -> None:
        cfg = self.cfg
        self.classnames = [self.lab2cname[label] for label in range(self.num_classes)]
        clip = load_clip(cfg.MODEL.BACKBONE.NAME, device=self.device)
        size = clip.visual.image_size
        if tuple(cfg.INPUT.SIZE) != (size, size):
            raise ValueError(f"INPUT.SIZE is {tuple(cfg.INPUT.SIZE)}, but {clip.name} takes {(size, size)}")
        self.model = self.Model(clip, self.classnames, self.options, **self.teachers()).to(self.device)
        learnable = self.model.learnable
        self.learnable_values = sum(parameter.numel() for parameter in learnable.values())
        print(f"Backbone {clip.name} ({clip.fingerprint}) frozen, {self.options.prec}")
        print(f"Learnable: {', '.join(learnable) or 'nothing'}: {self.learnable_values:,} values")
        if not learnable:
            return
        self.optim = build_optimizer(self.model.prompts, cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        self.register_model("prompts", self.model.prompts, self.optim, self.sched)
        scaled = needs_scaler(self.options.prec, self.device)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=scaled)
        self.parallel = distributed.wrap(self.model, broadcast_buffers=False)

    def class_prototypes(self, shots: int = -1) -> Tensor:
        """Mean un-prompted feature of each class's training images, ``shots`` of them or all: [C, D]."""
        prototypes = torch.empty(0)
        if distributed.is_main():
            items = draw_per_class(self.dm.dataset.train_x, shots, self.seed)
            tested: Any = self.test_loader.dataset  # the transform without augmentation
            prototypes = cached_prototypes(
                self.model.clip, items, tested.transforms[0], num_classes=self.num_classes,
                batch_size=self.cfg.DATALOADER.TEST.BATCH_SIZE, workers=self.cfg.DATALOADER.NUM_WORKERS,
            )  # fmt: skip
        return distributed.from_main(prototypes.cpu()).to(self.device)

    def parse_batch_train(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        return batch["img"].to(self.device), batch["label"].to(self.device)

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, float]:
        images, labels = self.parse_batch_train(batch)
        out = self.parallel(images)
        losses = self.model.losses(out, labels)
        loss = torch.stack(list(losses.values())).sum()
        self.model_backward_and_update(loss, terms=losses)
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        accuracy = 100 * (out.logits.argmax(dim=1) == labels).float().mean()
        return {name: value.item() for name, value in {"loss": loss, "acc": accuracy, **losses}.items()}

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

    def check_state(self, state: dict[str, Any], path: Path) -> None:
        theirs, ours = state["extra"]["identity"], self.identity()
        for key, value in ours.items():
            if theirs[key] != value:
                raise ValueError(f"{path} is of another {key}: {theirs[key]} there, {value} in this run")

    # --- results

    def test(self, split: str | None = None) -> float:
        """As Dassl's; the final evaluation (no ``split`` given) writes results.json and scores.npz too."""
        result = super().test(split)
        if split is None and distributed.is_main():
            self.write_results()
        return result

    def write_results(self) -> None:
        cfg, predictions = self.cfg, self.predictions
        assert predictions is not None  # test() has just made them
        folder = os.path.join(self.output_dir, "prompts")
        last = latest_epoch(folder)
        trained = (last or 0) * len(self.train_loader_x) * cfg.DATALOADER.TRAIN_X.BATCH_SIZE
        drawn = self.dm.dataset.train_x if cfg.DATASET.NUM_SHOTS > 0 else []

        def relative(path: str) -> str:
            return os.path.relpath(path, cfg.DATASET.ROOT)

        write_results(
            self.output_dir,
            trainer=type(self).__name__, dataset=cfg.DATASET.NAME, split=cfg.TEST.SPLIT, seed=self.seed,
            epochs=last or 0, engine={"name": host.ENGINE, "version": host.ENGINE_VERSION}, device=str(self.device),
            config=yaml.safe_load(cfg.dump()), classnames=self.classnames,
            images=[relative(path) for path in predictions.impaths],
            labels=predictions.labels, scores=predictions.scores, learnable_values=self.learnable_values,
            checkpoint_bytes=checkpoint_path(folder, last).stat().st_size if last else 0,
            train_seconds=self.train_seconds,
            images_per_second=trained / self.train_seconds if self.train_seconds else 0.0,
            fewshot_images=[relative(item.impath) for item in drawn],
        )  # fmt: skip
