"""Images per second and core of the input path: read, decode, augment, batch; Dassl's loader, our plain and fast ones.

RAF-DB-like JPEG files of 100 x 100, CLIP's 224 pixels bicubic, CoOp's training transforms; one process, one thread, the
loaders in turns.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Row, Settings, rate_row, soft_noise
from PIL import Image
from upstream import DASSL, checkouts, missing

from mpafer.common.defaults import default_config
from mpafer.inputs.datum import Datum
from mpafer.inputs.loaders import build_loader
from mpafer.inputs.transforms import compose, plain_steps, training_steps

BATCH = 32
ORDER = {True: "RandomSampler", False: "SequentialSampler"}  # by is_train


def make_images(folder: Path, count: int) -> list[str]:
    """JPEG files of about RAF-DB's size in bytes: smooth colours and a little noise."""
    rng, paths = np.random.default_rng(0), []
    for number in range(count):
        smooth = np.asarray(soft_noise(rng, 100), int)
        noisy = smooth + rng.integers(-8, 9, smooth.shape)
        paths.append(str(folder / f"{number}.jpg"))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(paths[-1], quality=90)
    return paths


def recipe(cfg: Any) -> Any:
    """CoOp's training input, on any Dassl config tree."""
    cfg.INPUT.INTERPOLATION = "bicubic"
    cfg.INPUT.TRANSFORMS = ("random_resized_crop", "random_flip", "normalize")
    cfg.INPUT.PIXEL_MEAN = [0.48145466, 0.4578275, 0.40821073]
    cfg.INPUT.PIXEL_STD = [0.26862954, 0.26130258, 0.27577711]
    cfg.DATALOADER.NUM_WORKERS = 0
    return cfg


def loader_of(paths: list[str], root: Path, is_train: bool, fast: bool) -> Any:
    """Our loader; the fast one is a `FastLoader`."""
    cfg = recipe(default_config())
    cfg.DATASET.ROOT, cfg.DATALOADER.FAST = str(root), fast
    items = [Datum(path, 0, 0, "face") for path in paths]
    transform = compose(training_steps(cfg.INPUT) if is_train else plain_steps(cfg.INPUT))
    return build_loader(cfg, items, transform, sampler=ORDER[is_train], batch_size=BATCH, training=is_train)


def upstream_loader(paths: list[str], upstream: Path, is_train: bool) -> Iterable[Any]:
    """Dassl's own, from the checkout ``dassl`` in a folder."""
    with checkouts(upstream):
        from dassl.config import get_cfg_default as dassl_defaults
        from dassl.data import data_manager
        from dassl.data.datasets import Datum as DasslDatum

    cfg = recipe(dassl_defaults())
    items = [DasslDatum(path, 0, 0, "face") for path in paths]
    transform = data_manager.build_transform(cfg, is_train=is_train)
    return data_manager.build_data_loader(cfg, ORDER[is_train], items, BATCH, tfm=transform, is_train=is_train)


def seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def read_all(loader: Iterable[Any]) -> None:
    for _ in loader:
        pass


def timings(upstream: Path | None, *, images: int, repeats: int) -> dict[str, dict[str, list[float]]]:
    """Microseconds an image of every loader in every round, in training and in evaluation; "store": of decoding once.

    Args:
        upstream: a folder with the checkout ``dassl``, or None.
        images: files, a multiple of the batch.
        repeats: rounds, after one that warms up; in a round every loader goes through all files once.
    """
    taken: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        paths = make_images(Path(folder), images)
        for name, is_train in (("training", True), ("evaluation", False)):
            loaders = {"Dassl": upstream_loader(paths, upstream, is_train)} if upstream else {}
            loaders |= {kind: loader_of(paths, Path(folder), is_train, kind == "fast") for kind in ("plain", "fast")}
            store = 1e6 / images * seconds(loaders["fast"].dataset.open)
            rounds = [
                {
                    kind: 1e6 / images * seconds(lambda loader=loader: read_all(loader))
                    for kind, loader in loaders.items()
                }
                for _ in range(repeats + 1)
            ]
            taken[name] = {kind: [once[kind] for once in rounds[1:]] for kind in loaders} | {"store": [store]}
    return taken


def measure(settings: Settings) -> list[Row]:
    """Against Dassl's loader, on one thread, by its CPU time; our plain path beside it."""
    threads, images = torch.get_num_threads(), 64 if settings.size == "toy" else 1280
    reason = missing(settings.upstream, DASSL)
    torch.set_num_threads(1)
    try:
        taken = timings(None if reason else settings.upstream, images=images, repeats=settings.repeats)
    finally:
        torch.set_num_threads(threads)
    rows = []
    for name, times in taken.items():
        theirs, note = times.get("Dassl", []), f"decoding into the store took {times['store'][0]:.0f} us an image, once"
        for kind, least in (("fast", 5.0 if name == "training" else None), ("plain", None)):
            row = rate_row(f"input, {name}, {kind} path / Dassl's loader", times[kind], theirs, 1_000_000, least=least)
            row.note = reason or (note if kind == "fast" else "")
            rows.append(row)
    return rows
