"""What all rows share: the settings, a row's figures, timing in turns, random CLIPs of the real shapes."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from mpafer.clip.tokens import clip_module
from mpafer.prompting.expressions import CLASSES

FACES = list(CLASSES[:7])  # class names
SIZES = {  # image, patch, vision width, vision layers, text width, text layers, D
    "ViT-B/32": (224, 32, 768, 12, 512, 12, 512),
    "ViT-B/16": (224, 16, 768, 12, 512, 12, 512),
    "ViT-L/14": (224, 14, 1024, 24, 768, 12, 768),
    "toy": (64, 16, 768, 2, 512, 2, 64),  # shows that the rows work
}


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    size: str = "ViT-B/16"
    batch: int = 8
    repeats: int = 5
    upstream: Path | None = None  # folder with the checkouts maple and dassl
    device: torch.device = field(default_factory=lambda: torch.device("cuda" if torch.cuda.is_available() else "cpu"))


@dataclass
class Row:
    """One line of the table. The target is of the ratio where the row ``compares``, else of ours."""

    name: str
    unit: str = ""
    ours: float | None = None
    theirs: float | None = None
    ratios: list[float] = field(default_factory=list)  # one a round
    least: float | None = None
    most: float | None = None
    compares: bool = False
    note: str = ""

    @property
    def measured(self) -> float | None:
        if self.compares:
            return statistics.median(self.ratios) if self.ratios else None
        return self.ours

    @property
    def target(self) -> str:
        times = "x" if self.compares else ""
        if self.least is not None:
            return f">= {self.least:g}{times}"
        return f"<= {self.most:g}{times}" if self.most is not None else ""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without a target or a figure."""
        value = self.measured
        if value is None or (self.least is None and self.most is None):
            return None
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"measured": self.measured, "met": self.met}

    def cells(self) -> list[str]:
        """For the table, without the note."""

        def number(value: float | None) -> str:
            return "" if value is None else f"{value:.3g}"

        spread = f"{self.measured:.2f} ({min(self.ratios):.2f} - {max(self.ratios):.2f})" if self.ratios else ""
        met = {True: "yes", False: "no", None: ""}[self.met]
        return [self.name, self.target, number(self.ours), number(self.theirs), self.unit, spread, met]


def in_turns(calls: dict[str, Callable[[], object]], repeats: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of every call, one call after the other in each round, so that a busy machine is busy for all of them.

    A first round warms up and does not count.
    """
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


def rate_row(name: str, ours: Sequence[float], theirs: Sequence[float], images: int, **targets: Any) -> Row:
    """Images a second of both, from seconds in turns; ``theirs`` may be empty."""
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)] if theirs else []
    rates = [images / statistics.median(times) if times else None for times in (ours, theirs)]
    return Row(name, "images/s", rates[0], rates[1], ratios, compares=True, **targets)


def openai_model(size: str) -> nn.Module:
    """OpenAI's own module with random weights."""
    clip_module()
    from clip.model import CLIP

    image, patch, vision, vision_layers, text, text_layers, dim = SIZES[size]
    torch.manual_seed(0)
    return CLIP(dim, image, vision_layers, vision, patch, 77, 49408, text, text // 64, text_layers).eval()


def batch_of(size: str, count: int, device: torch.device) -> dict[str, torch.Tensor]:
    """Random images [B, 3, H, H] and labels [B]."""
    side = SIZES[size][0]
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(count, 3, side, side, generator=generator).to(device)
    return {"img": images, "label": torch.arange(count, device=device) % len(FACES)}


def soft_noise(rng: np.random.Generator, side: int) -> Image.Image:
    """Smooth colours, which take about as many bytes of JPEG as a face."""
    coarse = Image.fromarray(rng.integers(0, 256, (7, 7, 3), dtype=np.uint8))
    return coarse.resize((side, side), Image.Resampling.BICUBIC)


def machine() -> dict[str, Any]:
    """What the figures are of."""
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "cpu": f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores",
        "amx": any(" amx_bf16" in line for line in _cpuinfo()),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 2),
        "commit": commit.stdout.strip(),
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []
