"""Runs over several processes, started by ``torchrun``; with one process every function here is a no-op."""

from __future__ import annotations

import os
import sys
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from mpafer.common.errors import OptionError

T = TypeVar("T")


def init(use_cuda: bool = True) -> None:
    """Join the process group that torchrun's environment describes (NCCL on CUDA, else Gloo); safe to repeat.

    Only rank 0 prints afterwards: the others' standard output is discarded.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1 or dist.is_initialized():
        return
    missing = [key for key in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if key not in os.environ]
    if missing:
        raise OptionError(f"WORLD_SIZE > 1, but {', '.join(missing)} is not set; start distributed runs with torchrun")
    cuda = use_cuda and torch.cuda.is_available()
    if cuda:
        local, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= count:
            raise OptionError(
                f"torchrun started local rank {local}, but there are {count} GPUs; lower --nproc-per-node"
            )
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if cuda else "gloo")
    if not is_main():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process


def shutdown() -> None:
    """Leave the process group."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    return rank() == 0


def barrier() -> None:
    if dist.is_initialized():
        dist.barrier()


def device(use_cuda: bool = True) -> torch.device:
    """This process's device."""
    if use_cuda and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def gather_objects(items: list[T]) -> list[T]:
    """The lists of all ranks, one after the other, on every rank."""
    if not dist.is_initialized():
        return items
    parts: list[Any] = [None] * world_size()
    dist.all_gather_object(parts, items)
    return [item for part in parts for item in part]


def from_main(value: T) -> T:
    """Rank 0's value, on every rank."""
    if not dist.is_initialized():
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def wrap(model: nn.Module, **options: Any) -> nn.Module:
    """``model`` under DistributedDataParallel, which averages the gradients over the ranks; itself on one
    process.

    Register and save the bare module: the wrapper would prefix every name with ``module.``. Buffers are not
    broadcast (ours are frozen), so that ranks may evaluate different numbers of batches.
    """
    if not dist.is_initialized() or not any(p.requires_grad for p in model.parameters()):
        return model
    return nn.parallel.DistributedDataParallel(model, **{"broadcast_buffers": False, **options})
