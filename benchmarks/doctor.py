"""How long the doctor takes over RAF-DB: a tree of its names, labels, counts and sizes, filled with smooth noise.

    python benchmarks/doctor.py                 # 15,339 JPEG files of 100 x 100, with 1 and with 2 processes
    python benchmarks/doctor.py --share 0.1 --jobs 1 2 4 --json doctor.json

Times are of the whole command, imports and near-duplicates included, on files that lie in the page cache.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from tabulate import tabulate

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
            coarse = Image.fromarray(rng.integers(0, 256, (7, 7, 3), dtype=np.uint8))
            coarse.resize((100, 100), Image.Resampling.BICUBIC).save(images / f"{stem}_aligned.jpg", quality=90)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="share of RAF-DB's images")
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2], metavar="N")
    parser.add_argument("--json", type=Path, help="write the times there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images = make_tree(Path(folder), args.share)
        times = {jobs: seconds(Path(folder), jobs) for jobs in args.jobs}
    rows = [[jobs, took, images / took] for jobs, took in times.items()]
    print(f"{images} images of 100 x 100")
    print(tabulate(rows, ["processes", "s", "images/s"], floatfmt=(".0f", ".1f", ".0f")))
    if args.json:
        args.json.write_text(json.dumps({"images": images, "seconds": times}))


if __name__ == "__main__":
    main()
