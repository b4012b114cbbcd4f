"""Gaussian weighted prompt aggregation (PromptSRC): the average over epochs of the learned values, in float32."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mpafer.common.errors import CheckpointError


class GaussianAverage:
    """``sum_t w_t theta_t``, with ``w_t`` proportional to a normal density at t = 1 ... epochs.

    Args:
        module: its parameters are averaged, nothing else.
        epochs: number of epochs of the training.
        mean: epoch with the largest weight, from 1.
        std: standard deviation, in epochs.
    """

    def __init__(self, module: nn.Module, *, epochs: int, mean: float, std: float) -> None:
        self._module = module
        epoch = torch.arange(1, epochs + 1, dtype=torch.float64)
        self.weights = (-0.5 * ((epoch - mean) / std) ** 2).softmax(dim=0)  # the densities, normalised: [epochs]
        self._sums = {name: torch.zeros_like(value) for name, value in module.named_parameters()}

    @torch.no_grad()
    def update(self, epoch: int) -> None:
        """Add the parameters as they are after ``epoch``, counted from 0."""
        for name, value in self._module.named_parameters():
            self._sums[name] += float(self.weights[epoch]) * value

    def average(self) -> dict[str, Tensor]:
        """The weighted sum so far, by name of the parameter; after the last epoch it is the average."""
        return self._sums

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self._sums)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the sums of an interrupted training.

        Raises:
            CheckpointError: the names are not those of the module.
        """
        if state.keys() != self._sums.keys():
            raise CheckpointError(f"the average is of {sorted(state)}, the module has {sorted(self._sums)}")
        self._sums = {name: value.to(self._sums[name].device) for name, value in state.items()}
