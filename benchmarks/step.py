"""One MPA-FER training step against OpenAI's ``clip.encode_image``, same random ViT, same batch, interleaved.

    python benchmarks/step.py                      # ViT-B/16, batch 32, fp32 and bf16, this machine
    python benchmarks/step.py --batch 8 --repeats 3 --json step.json

Prints seconds (median, minimum, maximum) and the ratio to encode_image with its spread over the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tabulate import tabulate

import mpafer
from mpafer.clip import Clip
from mpafer.clip.tokens import clip_module
from mpafer.datasets.labels import CLASSES

SIZES = {  # image, patch, vision width, vision layers, text width, text layers, D
    "ViT-B/32": (224, 32, 768, 12, 512, 12, 512),
    "ViT-B/16": (224, 16, 768, 12, 512, 12, 512),
    "ViT-L/14": (224, 14, 1024, 24, 768, 12, 768),
}


def openai_model(size: str) -> torch.nn.Module:
    """OpenAI's own module with random weights."""
    clip_module()
    from clip.model import CLIP

    image, patch, vision, vision_layers, text, text_layers, dim = SIZES[size]
    torch.manual_seed(0)
    return CLIP(dim, image, vision_layers, vision, patch, 77, 49408, text, text // 64, text_layers).eval()


def training_step(backbone: Clip, precision: str, images: torch.Tensor) -> Callable[[], object]:
    """A full step: forward, all losses, backward, SGD."""
    classes = list(CLASSES[:7])
    prototypes = torch.randn(len(classes), backbone.embed_dim, device=images.device)
    model = mpafer.build_model("MPAFER", backbone, classes, prec=precision, prototypes=prototypes).to(images.device)
    optimizer = torch.optim.SGD(model.learnable.values(), lr=0.032, momentum=0.9)
    labels = torch.arange(len(images), device=images.device) % len(classes)

    def step() -> None:
        optimizer.zero_grad()
        torch.stack(list(model.losses(model(images), labels).values())).sum().backward()
        optimizer.step()

    return step


def measure(calls: dict[str, Callable[[], object]], repeats: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of every call, one call after the other in each round; the first round is a warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="ViT-B/16")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, help="write all times there")
    args = parser.parse_args()
    device = torch.device(args.device)
    theirs = openai_model(args.size).to(device)
    backbone = Clip.from_state_dict(theirs.state_dict()).to(device)
    images = torch.randn(args.batch, 3, backbone.visual.image_size, backbone.visual.image_size, device=device)
    reference = "clip.encode_image fp32"
    calls: dict[str, Callable[[], object]] = {reference: lambda: torch.no_grad()(theirs.encode_image)(images)}
    for precision in args.precisions:
        model = backbone.cast(torch.bfloat16 if precision == "bf16" else torch.float32)
        calls[f"encode_image {precision}"] = lambda model=model: model.encode_image(images)  # type: ignore[misc]
        calls[f"MPA-FER step {precision}"] = training_step(backbone, precision, images)
    seconds = measure(calls, args.repeats, device)
    rows = []
    for name, times in seconds.items():
        ratios = [mine / base for mine, base in zip(times, seconds[reference], strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})"
        rows.append(
            [name, statistics.median(times), min(times), max(times), args.batch / statistics.median(times), spread]
        )
    print(f"{args.size}, batch {args.batch}, {device}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(tabulate(rows, ["call", "s median", "min", "max", "images/s", f"time / {reference}"], floatfmt=".3f"))
    if args.json:
        args.json.write_text(json.dumps({"args": {k: str(v) for k, v in vars(args).items()}, "seconds": seconds}))


if __name__ == "__main__":
    main()
