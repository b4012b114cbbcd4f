"""The least time a step can take: its floating-point operations, and measured rates of products and copies."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from common import SIZES, Row, Settings

CLASSES, TEXT_TOKENS, PROMPTS = 7, 15, 8  # MPA-FER's: 7 prompts of SOS, 10 vectors, name, period, EOS; 8 visual prompts


def tower_flops(batch: int, tokens: int, extra: int, width: int, layers: int) -> tuple[float, float]:
    """Operations of a tower's forward and of its backward to the activations; frozen weights have no gradient.

    A token takes 24 W^2 in products (queries, keys, values 6, out 2, MLP 16), a prompt beside them 4 W^2, once for the
    batch. Attention is two products forward; backward it is four and the weights again.
    """
    products = width**2 * (24 * batch * tokens + 4 * extra)
    attention = 2 * width * batch * tokens * (tokens + extra)  # of one product
    return layers * (products + 2 * attention), layers * (products + 5 * attention)


def step_flops(size: str, batch: int) -> dict[str, float]:
    """Floating-point operations of the parts of one MPA-FER step."""
    image, patch, vision, vision_layers, text, text_layers, _ = SIZES[size]
    patches = (image // patch) ** 2
    forward, backward = tower_flops(batch, patches + 1, PROMPTS, vision, vision_layers)
    told, told_backward = tower_flops(CLASSES, TEXT_TOKENS, 0, text, text_layers)
    first = 6 * vision**2 * batch * (patches + 1)  # no gradient goes on to the image's tokens below the first layer
    return {
        "patches": 2 * 3 * patch**2 * vision * batch * patches,
        "vision forward": forward,
        "vision backward": backward - first,
        "text forward": told,
        "text backward": told_backward,
    }


def seconds_of(call: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Median time of a call, after one that warms up."""
    taken = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def product_rate(dtype: torch.dtype, settings: Settings) -> float:
    """Floating-point operations a second of the MLP's product at this batch."""
    image, patch, width, *_ = SIZES[settings.size]
    rows = settings.batch * ((image // patch) ** 2 + 1)
    x = torch.randn(rows, width, device=settings.device, dtype=dtype)
    weight = torch.randn(4 * width, width, device=settings.device, dtype=dtype)
    inner = 20 if settings.device.type == "cuda" else 1  # a GPU's launches overlap
    taken = seconds_of(lambda: [x @ weight.T for _ in range(inner)], 4 * settings.repeats, settings.device)
    return inner * 2 * rows * width * 4 * width / taken


def copy_rate(settings: Settings) -> float:
    """Bytes a second, read and written, of a copy that no cache holds."""
    source = torch.empty(64 << 20, device=settings.device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / seconds_of(lambda: target.copy_(source), 2 * settings.repeats, settings.device)


def measure(settings: Settings) -> list[Row]:
    """Rates, and the least seconds of a step when only its products took time."""
    flops = sum(step_flops(settings.size, settings.batch).values())
    rows = [Row("copy", "GB/s", copy_rate(settings) / 1e9), Row("MPA-FER step, operations", "GFLOP", flops / 1e9)]
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        rate = product_rate(dtype, settings)
        rows += [Row(f"product {name}", "GFLOP/s", rate / 1e9), Row(f"step floor {name}", "s", flops / rate)]
    return rows
