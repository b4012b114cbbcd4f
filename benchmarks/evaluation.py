"""Evaluation against OpenAI's ``clip.encode_image`` in float32, and what bfloat16 changes in the predictions."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import FACES, Row, Settings, batch_of, in_turns, openai_model, rate_row
from PIL import Image

import mpafer
from mpafer.clip import Clip, load_clip
from mpafer.clip.preprocess import PIXEL_MEAN, PIXEL_STD
from mpafer.sketch.generate import class_list, draw_image

TARGETS: dict[str, dict[str, Any]] = {"fp32": {"least": 0.97}, "bf16": {"least": 1.7}}


@torch.no_grad()
def measure(settings: Settings) -> list[Row]:
    """Our encoder, and MPA-FER's logits with their text side, against ``clip.encode_image``."""
    theirs = openai_model(settings.size).to(settings.device)
    backbone = Clip.from_state_dict(theirs.state_dict()).to(settings.device)
    images = batch_of(settings.size, settings.batch, settings.device)["img"]
    calls: dict[str, Callable[[], object]] = {"theirs": lambda: theirs.encode_image(images)}
    for precision in TARGETS:
        model = mpafer.build_model("MPAFER", backbone, FACES, prec=precision).to(settings.device).eval()
        calls[f"encode_image {precision}"] = lambda model=model: model.clip.encode_image(images)
        calls[f"MPA-FER logits {precision}"] = lambda model=model: model(images).logits.cpu()
    with torch.no_grad():
        seconds = in_turns(calls, settings.repeats, settings.device)
    base = seconds.pop("theirs")
    return [
        rate_row(f"{name} / clip.encode_image fp32", times, base, settings.batch, **TARGETS[name[-4:]])
        for name, times in seconds.items()
    ]


def drawn_faces(count: int, side: int) -> torch.Tensor:
    """Test faces of another draw of SketchFER, normalised: [count, 3, side, side]."""
    seed = 11
    names = class_list(seed, "test", count)
    pictures = [Image.open(io.BytesIO(draw_image(seed, "test", i, name)[0])) for i, name in enumerate(names)]
    pixels = np.stack([np.asarray(picture.convert("RGB").resize((side, side))) for picture in pictures])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    return (images - torch.tensor(PIXEL_MEAN)[:, None, None]) / torch.tensor(PIXEL_STD)[:, None, None]


def predictions(settings: Settings) -> list[Row]:
    """Share of equal predictions in bfloat16 and float32 on drawn faces; MPA-FER's prompts are as they start."""
    few, many = (8, 40) if settings.size == "toy" else (200, 1000)
    tiny, random = load_clip("tiny"), Clip.from_state_dict(openai_model(settings.size).state_dict())
    cases = [
        ("ZeroshotDescriptions", "tiny CLIP", tiny, many),
        ("MPAFER", "tiny CLIP", tiny, many),
        ("MPAFER", f"random {settings.size}", random, few),
    ]
    rows = []
    for method, name, clip, count in cases:
        images = drawn_faces(count, clip.visual.image_size).to(settings.device)
        full, low = (_logits(clip, method, precision, images) for precision in TARGETS)
        equal = float((full.argmax(dim=1) == low.argmax(dim=1)).float().mean())
        best = full.topk(2, dim=1).values
        told = f"the two best logits are {float((best[:, 0] - best[:, 1]).median()):.2g} apart, "
        told += f"bf16 moves one by {float((full - low).abs().median()):.2g} (medians)"
        rows.append(
            Row(f"bf16 predicts as fp32: {method}, {name}, {count} faces", "share", equal, least=0.995, note=told)
        )
    return rows


@torch.no_grad()
def _logits(clip: Clip, method: str, precision: str, images: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(0)
    model = mpafer.build_model(method, clip, FACES, prec=precision).to(images.device).eval()
    return torch.cat([model(part).logits for part in images.split(100)])
