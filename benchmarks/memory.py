"""Memory of a bfloat16 training step at batch 32: the GPU's peak, or what must be kept where there is none."""

from __future__ import annotations

import torch
from common import FACES, Row, Settings, batch_of, openai_model
from torch import Tensor

import mpafer
from mpafer.clip import Clip
from mpafer.prompting.model import FrozenClip

BATCH = 32


def measure(settings: Settings) -> list[Row]:
    """With every activation kept, and with checkpointing."""
    count = 2 if settings.size == "toy" else BATCH
    backbone = Clip.from_state_dict(openai_model(settings.size).state_dict())
    batch = batch_of(settings.size, count, settings.device)
    prototypes = torch.randn(len(FACES), backbone.embed_dim)
    model = mpafer.build_model("MPAFER", backbone, FACES, prec="bf16", prototypes=prototypes).to(settings.device)
    del backbone
    rows = []
    for name, again in (("", False), (", TRAIN.CHECKPOINTING", True)):
        model.clip.checkpoint_activations(again)
        if settings.device.type == "cuda":
            taken, what = peak_bytes(model, batch), "torch.cuda.max_memory_allocated"
        else:
            taken, what = kept_bytes(model, batch), "weights + tensors saved for the backward; no GPU here"
        most = 2.0 if not again else None
        rows.append(Row(f"memory, bf16, batch {count}{name}", "GB", taken / 1e9, most=most, note=what))
    return rows


def _loss(model: FrozenClip, batch: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(model.losses(model(batch["img"]), batch["label"]).values())).sum()


def peak_bytes(model: FrozenClip, batch: dict[str, Tensor]) -> int:
    """Most bytes of tensors during a step; weights count."""
    torch.cuda.reset_peak_memory_stats()
    for _ in range(2):
        _loss(model, batch).backward()
    return torch.cuda.max_memory_allocated()


def kept_bytes(model: FrozenClip, batch: dict[str, Tensor]) -> int:
    """Weights, buffers, images and what the forward saves for the backward, each storage once.

    What lives only within one operation is not in it, nor what checkpointing computes again.
    """
    owned = [*model.parameters(), *model.buffers(), *batch.values()]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in owned}

    def save(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        _loss(model, batch)
    return sum(storages.values())
