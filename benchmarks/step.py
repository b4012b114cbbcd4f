"""A training step (forward, losses, backward, SGD, reading the loss) against upstream MaPLe's own, same images."""

from __future__ import annotations

from collections.abc import Callable

import torch
import upstream
from common import FACES, Row, Settings, batch_of, in_turns, openai_model, rate_row

import mpafer
from mpafer.clip import Clip


def training_step(
    backbone: Clip, precision: str, batch: dict[str, torch.Tensor], method: str = "MPAFER"
) -> Callable[[], object]:
    """A full step of one of our methods."""
    extra = {"prototypes": torch.randn(len(FACES), backbone.embed_dim)} if method == "MPAFER" else {}
    model = mpafer.build_model(method, backbone, FACES, prec=precision, **extra).to(batch["img"].device)
    optimizer = torch.optim.SGD(model.learnable.values(), lr=1e-3, momentum=0.9, weight_decay=5e-4)

    def step() -> float:
        loss = torch.stack(list(model.losses(model(batch["img"]), batch["label"]).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def measure(settings: Settings) -> list[Row]:
    """MPA-FER in two precisions, and our MaPLe, against upstream's MaPLe in float32."""
    theirs = openai_model(settings.size)
    backbone = Clip.from_state_dict(theirs.state_dict()).to(settings.device)
    batch = batch_of(settings.size, settings.batch, settings.device)
    reason = upstream.missing(settings.upstream, upstream.MAPLE, upstream.DASSL)
    reason = reason or ("upstream runs on the CPU here" if batch["img"].is_cuda else "")
    calls: dict[str, Callable[[], object]] = {}
    if not reason and settings.upstream:
        calls["theirs"] = upstream.maple_step(settings.upstream, theirs.state_dict(), FACES, batch)
    rows = {
        "MPA-FER step fp32 / MaPLe fp32": ("MPAFER", "fp32", {"least": 1.25}),
        "MPA-FER step bf16 / MaPLe fp32": ("MPAFER", "bf16", {"least": 1.8}),
        "our MaPLe step fp32 / MaPLe fp32": ("MaPLe", "fp32", {}),
    }
    if settings.size == "toy":
        del rows["our MaPLe step fp32 / MaPLe fp32"]  # nine prompted layers
    for name, (method, precision, _) in rows.items():
        calls[name] = training_step(backbone, precision, batch, method)
    seconds = in_turns(calls, settings.repeats, settings.device)
    base = seconds.get("theirs", [])
    return [
        rate_row(name, seconds[name], base, settings.batch, note=reason, **targets)
        for name, (_, _, targets) in rows.items()
    ]
