"""The models a trainer has registered, with their optimisers and schedules: modes, steps, learning rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mpafer.engine.builtin.utils import grad_scaler


class TrainedModels:
    """What is trained, by name; the part of Dassl's TrainerBase below the training loop."""

    epoch = batch_idx = num_batches = max_epoch = 0

    def __init__(self) -> None:
        self._models: dict[str, nn.Module] = {}
        self._optims: dict[str, Any] = {}
        self._scheds: dict[str, Any] = {}
        self._unchecked: list[tuple[int, int, Tensor, dict[str, Tensor]]] = []  # epoch, batch, loss, its terms
        # disabled it passes everything through; a trainer with mixed precision puts an enabled one here
        self.scaler = grad_scaler()

    def register_model(self, name: str = "model", model: Any = None, optim: Any = None, sched: Any = None) -> None:
        """Bind a module to its optimiser and schedule under the name of its checkpoint folder."""
        if name in self._models:
            raise ValueError(f"a model called {name!r} is already registered")
        self._models[name], self._optims[name], self._scheds[name] = model, optim, sched

    def get_model_names(self, names: str | list[str] | None = None) -> list[str]:
        """``names`` as a list, all registered ones by default; an unknown one is a ValueError."""
        chosen = list(self._models) if names is None else [names] if isinstance(names, str) else list(names)
        unknown = sorted(set(chosen) - set(self._models))
        if unknown:
            raise ValueError(f"no model called {', '.join(unknown)}; registered: {', '.join(self._models)}")
        return chosen

    def set_model_mode(self, mode: str = "train", names: str | list[str] | None = None) -> None:
        if mode not in ("train", "test", "eval"):
            raise ValueError(f"mode {mode!r}: expected train, test or eval")
        for name in self.get_model_names(names):
            self._models[name].train(mode == "train")

    def model_zero_grad(self, names: str | list[str] | None = None) -> None:
        for optim in self._registered(self._optims, names):
            optim.zero_grad()

    def model_backward(self, loss: Tensor, terms: Mapping[str, Any] | None = None) -> None:
        self.detect_anomaly(loss, terms)
        self.scaler.scale(loss).backward()

    def model_update(self, names: str | list[str] | None = None) -> None:
        """Step the optimisers; under mixed precision a step with overflown gradients is left out."""
        optims = self._registered(self._optims, names)
        for optim in optims:
            self.scaler.step(optim)
        if optims:
            self.scaler.update()

    def model_backward_and_update(
        self, loss: Tensor, names: str | list[str] | None = None, terms: Mapping[str, Any] | None = None
    ) -> None:
        """One optimiser step. ``terms``: the loss's parts by name, for the message when it is not finite."""
        self.model_zero_grad(names)
        self.model_backward(loss, terms)
        self.model_update(names)

    def detect_anomaly(self, loss: Tensor, terms: Mapping[str, Any] | None = None) -> None:
        """Note a step's loss for `check_losses`: looking at it at once would make every step wait for the device."""
        terms = {name: torch.as_tensor(value).detach() for name, value in (terms or {"loss": loss.mean()}).items()}
        self._unchecked.append((self.epoch, self.batch_idx, loss.detach(), terms))

    def check_losses(self) -> None:
        """FloatingPointError that names epoch, batch and terms if a loss since the last call is infinite or NaN."""
        unchecked, self._unchecked = self._unchecked, []
        if not unchecked or torch.stack([loss.isfinite().all() for _, _, loss, _ in unchecked]).all():
            return
        epoch, batch, _, terms = next(step for step in unchecked if not step[2].isfinite().all())
        values = ", ".join(f"{name}={float(value):g}" for name, value in terms.items())
        raise FloatingPointError(
            f"Loss is infinite or NaN! epoch [{epoch + 1}/{self.max_epoch}] "
            f"batch [{batch + 1}/{self.num_batches}]: {values}"
        )

    def update_lr(self, names: str | list[str] | None = None) -> None:
        """Move the schedules on by one epoch; forward_backward() calls it on an epoch's last batch."""
        for sched in self._registered(self._scheds, names):
            sched.step()

    def get_current_lr(self, names: str | list[str] | None = None) -> float:
        return self._optims[self.get_model_names(names)[0]].param_groups[0]["lr"]

    def _registered(self, objects: dict[str, Any], names: str | list[str] | None) -> list[Any]:
        return [objects[name] for name in self.get_model_names(names) if objects[name] is not None]
