"""How long the doctor takes over RAF-DB: a tree of its names, labels, counts and sizes, filled with smooth noise.

15,339 JPEG files of 100 x 100; times are of the whole command, imports and near-duplicates included, on files that lie
in the page cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import Row, Settings, soft_noise

from mpafer.datasets.rafdb import RAFDB


def make_tree(root: Path, share: float) -> int:
    """The official layout under `root`, with a share of each class's images; returns their number."""
    images, rows = root / "RAF-DB/basic/Image/aligned", []
    images.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for split, digits in (("train", 5), ("test", 4)):
        counts = [max(round(share * count), 1) for count in RAFDB.published[split]]
        for number, label in enumerate(rng.permutation(np.repeat(np.arange(1, 8), counts)), start=1):
            stem = f"{split}_{number:0{digits}d}"
            soft_noise(rng, 100).save(images / f"{stem}_aligned.jpg", quality=90)
            rows.append(f"{stem}.jpg {label}")
    (root / "RAF-DB/basic/EmoLabel").mkdir()
    (root / "RAF-DB/basic/EmoLabel/list_patition_label.txt").write_text("\n".join(rows))
    return len(rows)


def seconds(root: Path, jobs: int) -> float:
    """Wall time of one run of the command, which has to find no error."""
    command = [sys.executable, "-m", "mpafer.datasets", "check", "rafdb", "--root", str(root), "--jobs", str(jobs)]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    elapsed = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"error: {done.stdout}{done.stderr}")
    return elapsed


def measure(settings: Settings) -> list[Row]:
    """With one process and with one a core."""
    share = 0.01 if settings.size == "toy" else 1.0
    with tempfile.TemporaryDirectory() as folder:
        images = make_tree(Path(folder), share)
        return [
            Row(f"datasets check, {images} images, {jobs} processes", "s", seconds(Path(folder), jobs))
            for jobs in sorted({1, os.cpu_count() or 1})
        ]
