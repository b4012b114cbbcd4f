"""Rows that need a CUDA device: an epoch of RAF-DB's size, and the share of the card's own product rate it reaches."""

from __future__ import annotations

import statistics
from dataclasses import replace

import torch
from common import Row, Settings, batch_of, in_turns, openai_model
from floor import product_rate, step_flops
from step import training_step

from mpafer.clip import Clip
from mpafer.datasets.rafdb import RAFDB

BATCHES = (32, 256)


def measure(settings: Settings) -> list[Row]:
    """Images that lie on the card already: the input path is another row."""
    if settings.device.type != "cuda":
        return [Row(f"RAF-DB epoch on a GPU, batch {batch}", note="no GPU here") for batch in BATCHES]
    images = sum(RAFDB.published["train"])
    backbone = Clip.from_state_dict(openai_model(settings.size).state_dict()).to(settings.device)
    rows = []
    for size in BATCHES:
        step = training_step(backbone, "bf16", batch_of(settings.size, size, settings.device))
        seconds = statistics.median(in_turns({"step": step}, 4 * settings.repeats, settings.device)["step"])
        flops = sum(step_flops(settings.size, size).values())
        share = flops / seconds / product_rate(torch.bfloat16, replace(settings, batch=size))
        rows += [
            Row(f"RAF-DB epoch, {images} images, bf16, batch {size}", "s", seconds * images / size),
            Row(f"share of the measured bf16 product rate, batch {size}", "share", share),
        ]
    return rows
