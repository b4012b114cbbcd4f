"""Lists, order and store at AffectNet's size: seconds and memory of each step at 28,000, 140,000 and 280,000 images.

    python benchmarks/scale.py                       # needs Linux, some 300 MB and a few minutes
    python benchmarks/scale.py --counts 1000 2000 --json scale.json

The images are 8 x 8 JPEG files, links to a few, in class folders: the numbers of names count here, not their pixels.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tabulate import tabulate

CLASSES = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger")
LINKS = 10_000  # to one file; file systems have limits


def make_tree(root: Path, count: int) -> None:
    """``count`` training and 70 test images under ``root``/ferfolder."""
    for split, images in (("train", count), ("test", 70)):
        for name in CLASSES:
            (root / "ferfolder" / split / name).mkdir(parents=True)
        for number in range(images):
            path = root / "ferfolder" / split / CLASSES[number % 7] / f"{number}.jpg"
            if number % LINKS == 0:
                pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(source := path)
            else:
                os.link(source, path)


def memory() -> float:
    """MB that this process has in memory of its own, mapped files not counted."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


def steps(root: Path) -> dict[str, tuple[float, float]]:
    """Step -> seconds, and MB that it added."""
    from mpafer.common.files import fingerprint
    from mpafer.datasets.ferfolder import FERFolder
    from mpafer.inputs.loaders import build_loader
    from mpafer.inputs.transforms import compose, training_steps
    from mpafer.run_config import run_config

    torch.set_num_threads(1)
    cfg = run_config(dataset="FERFolder")
    cfg.DATASET.ROOT, cfg.DATALOADER.NUM_WORKERS = str(root), 0
    cfg.INPUT.SIZE, cfg.INPUT.INTERPOLATION, cfg.INPUT.TRANSFORMS = (8, 8), "bicubic", ("random_resized_crop",)
    found: dict[str, tuple[float, float]] = {}

    def step(name: str, call: Callable[[], Any]) -> Any:
        before, start = memory(), time.perf_counter()
        result = call()
        found[name] = (time.perf_counter() - start, memory() - before)
        return result

    def loader(sampler: str = "RandomSampler") -> Any:
        transform = compose(training_steps(cfg.INPUT))
        return build_loader(cfg, dataset.train_x, transform, sampler=sampler, batch_size=32, training=True)

    with contextlib.redirect_stdout(io.StringIO()):
        dataset = step("list of the images", lambda: FERFolder(cfg))
        batches = step("loader", loader)
        step("order of an epoch", lambda: list(batches.batch_sampler))
        step("balanced order", lambda: list(loader("BalancedSampler").batch_sampler))
        step("fingerprint of the files", lambda: fingerprint("", [item.impath for item in dataset.train_x]))
        step("store, made", batches.dataset.open)
        again = loader()
        step("store, opened again", again.dataset.open)
        step("100 batches", lambda: [len(batch["img"]) for batch, _ in zip(again, range(100), strict=False)])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[28_000, 140_000, 280_000])
    parser.add_argument("--json", type=Path, help="write all figures there")
    args = parser.parse_args()
    results = {}
    for count in args.counts:
        spawn = multiprocessing.get_context("spawn")  # a process of its own, for its memory
        with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, spawn) as pool:
            make_tree(Path(folder), count)
            results[count] = pool.submit(steps, Path(folder)).result()
    rows = [
        [name, *(f"{results[count][name][0]:.2f} s, {results[count][name][1]:+.0f} MB" for count in args.counts)]
        for name in results[args.counts[0]]
    ]
    print(tabulate(rows, ["", *(f"{count:,}" for count in args.counts)]))
    if args.json:
        args.json.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
