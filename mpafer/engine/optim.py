"""torch's optimisers under the names and defaults of Dassl's ``OPTIM`` node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from yacs.config import CfgNode

from mpafer.common.errors import OptionError
from mpafer.common.options import check_choice

OPTIMIZERS = ("sgd", "adam", "amsgrad", "adamw", "radam", "rmsprop")


def build_optimizer(
    model: nn.Module | Iterable[Any], optim_cfg: CfgNode, param_groups: Iterable[Any] | None = None
) -> torch.optim.Optimizer:
    """The optimiser ``optim_cfg.NAME``, one of OPTIMIZERS.

    ``radam`` is torch's; Dassl carries an older implementation, whose first steps differ.

    Args:
        model: a module, or its parameters.
        optim_cfg: an OPTIM node.
        param_groups: torch's groups, in place of ``model``'s parameters.

    Raises:
        OptionError: another name, or OPTIM.NEW_LAYERS names no child of ``model``.
    """
    check_choice("OPTIM.NAME", optim_cfg.NAME, OPTIMIZERS)
    lr, decay = optim_cfg.LR, optim_cfg.WEIGHT_DECAY
    betas = (optim_cfg.ADAM_BETA1, optim_cfg.ADAM_BETA2)
    params: Any = param_groups
    if params is None and optim_cfg.STAGED_LR:
        params = _staged_groups(model, optim_cfg)
    elif params is None:
        params = model.parameters() if isinstance(model, nn.Module) else model

    match optim_cfg.NAME:
        case "sgd":
            return torch.optim.SGD(
                params,
                lr=lr,
                momentum=optim_cfg.MOMENTUM,
                dampening=optim_cfg.SGD_DAMPNING,
                nesterov=optim_cfg.SGD_NESTEROV,
                weight_decay=decay,
            )
        case "adam" | "amsgrad":
            amsgrad = optim_cfg.NAME == "amsgrad"
            return torch.optim.Adam(params, lr=lr, betas=betas, weight_decay=decay, amsgrad=amsgrad)
        case "adamw":
            return torch.optim.AdamW(params, lr=lr, betas=betas, weight_decay=decay)
        case "radam":
            return torch.optim.RAdam(params, lr=lr, betas=betas, weight_decay=decay)
        case _:
            return torch.optim.RMSprop(
                params, lr=lr, alpha=optim_cfg.RMSPROP_ALPHA, momentum=optim_cfg.MOMENTUM, weight_decay=decay
            )


def _staged_groups(model: Any, optim_cfg: CfgNode) -> list[dict[str, Any]]:
    """Two groups: the children named in NEW_LAYERS at LR, all others at LR x BASE_LR_MULT."""
    if not isinstance(model, nn.Module):
        raise TypeError("OPTIM.STAGED_LR needs a module, whose children OPTIM.NEW_LAYERS can name")
    new_layers = [optim_cfg.NEW_LAYERS] if isinstance(optim_cfg.NEW_LAYERS, str) else optim_cfg.NEW_LAYERS
    children = dict(model.named_children())
    missing = sorted(set(new_layers) - set(children))
    if missing:
        raise OptionError(f"OPTIM.NEW_LAYERS names {missing}, but the model's children are {sorted(children)}")
    others = [p for name, child in children.items() if name not in new_layers for p in child.parameters()]
    new = [p for name, child in children.items() if name in new_layers for p in child.parameters()]
    return [{"params": others, "lr": optim_cfg.LR * optim_cfg.BASE_LR_MULT}, {"params": new}]
