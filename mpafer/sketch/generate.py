"""Drawn data sets on disk: drawn once, reproducibly, with the true annotation of every image."""

from __future__ import annotations

import io
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from joblib import Parallel, cpu_count, delayed
from PIL import Image
from tqdm import tqdm

from mpafer.common.errors import DataError

from .identity import Identity, sample_identity
from .render import render
from .style import sample_style
from .units import CLASS_COUNTS, CLASSES, confuse, sample_expression

logger = logging.getLogger("mpafer.sketch")
Record = dict[str, Any]  # an image's line in annotations.jsonl


@dataclass(frozen=True)
class Domain:
    """A drawn data set: its folder, its family of styles, and the defaults of seed and images in each split."""

    folder: str
    family: str
    seed: int
    train: int
    test: int


SKETCHFER = Domain("sketchfer", "sketchfer", seed=0, train=2400, test=3000)
SKETCHFER_B = Domain("sketchfer_b", "prints", seed=7, train=200, test=1600)  # another seed, so other people too
VERSION = 1  # of the drawing: raise it whenever the same seed gives other images
SPLITS = ("train", "test")
LABEL_NOISE = 0.04
IDENTITIES = {"train": 400, "test": 500}  # people, other ones in each split
CHUNK = 50
# First numbers of the generators' seeds, so that no two uses share a stream.
STREAMS = {"train": 1, "test": 2, "labels": 3, "identity": 4}


def generate_dataset(
    root: Path | str,
    domain: Domain = SKETCHFER,
    *,
    seed: int | None = None,
    train: int = 0,
    test: int = 0,
    workers: int | None = None,
) -> Path:
    """Draw a domain into its folder under `root` unless it is there; returns that folder.

    Layout: `{train,test}/*.jpg` (100 x 100), `annotations.jsonl` (a line per image: file, split, label,
    true_class, aus, identity, style, boxes) and `sketchfer.json` (version, seed, counts). The same seed gives
    the same bytes for any number of workers (and the same versions of resvg-py, numpy and Pillow). If several
    processes start at once, one draws and the others wait.

    Args:
        root: folder of the data sets.
        domain: what is drawn.
        seed: None = the domain's.
        train, test: numbers of images; 0 = the domain's.
        workers: processes; None = one a core.

    Raises:
        DataError: the folder holds a complete set drawn with another seed or size.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    seed = domain.seed if seed is None else seed
    counts = {"train": train or domain.train, "test": test or domain.test}
    meta = {"version": VERSION, "seed": seed, "counts": counts}
    folder = root / domain.folder
    with FileLock(root / f".{domain.folder}.lock"):
        if is_complete(root, domain):
            found = json.loads((folder / "sketchfer.json").read_text())
            if found != meta:
                raise DataError(f"{folder} holds {found}, not {meta}: choose another root or delete that folder")
            return folder
        if folder.exists():
            logger.warning("%s is incomplete or of another version: drawing it again", folder)
            shutil.rmtree(folder)
        for leftover in root.glob(f".{domain.folder}-*"):
            shutil.rmtree(leftover)
        part = Path(tempfile.mkdtemp(prefix=f".{domain.folder}-", dir=root))
        part.chmod(0o755)
        write_splits(part, domain.family, seed, counts, workers or cpu_count())
        (part / "sketchfer.json").write_text(json.dumps(meta, indent=1) + "\n")
        part.rename(folder)
    return folder


def is_complete(root: Path | str, domain: Domain = SKETCHFER) -> bool:
    """Whether the domain's folder under `root` holds every image of this version of the drawing."""
    folder = Path(root) / domain.folder
    try:
        meta = json.loads((folder / "sketchfer.json").read_text())
        images = {split: sum(1 for _ in (folder / split).glob("*.jpg")) for split in SPLITS}
        return bool(meta["version"] == VERSION and images == meta["counts"] and (folder / "annotations.jsonl").exists())
    except (OSError, ValueError, KeyError):
        return False


def write_splits(folder: Path, family: str, seed: int, counts: dict[str, int], workers: int) -> None:
    """Write all images of every split and the annotations into `folder`, in order for any number of workers."""
    jobs = []
    for split, count in counts.items():
        (folder / split).mkdir()
        truths = class_list(seed, split, count)
        for start in range(0, count, CHUNK):
            jobs.append((split, start, truths[start : start + CHUNK]))
    parallel = Parallel(n_jobs=workers, return_as="generator")
    results: Iterator[list[Record]] = parallel(delayed(write_images)(folder, family, seed, *job) for job in jobs)
    with (
        open(folder / "annotations.jsonl", "w") as lines,
        tqdm(total=sum(counts.values()), desc="drawing faces", unit="img") as bar,
    ):
        for records in results:
            lines.writelines(json.dumps(record) + "\n" for record in records)
            bar.update(len(records))


def write_images(folder: Path, family: str, seed: int, split: str, start: int, truths: list[str]) -> list[Record]:
    """Write images start, start + 1, ... of a split, one for each class in `truths`; returns their annotations."""
    records = []
    for index, truth in enumerate(truths, start):
        jpeg, record = draw_image(seed, split, index, truth, family)
        (folder / record["file"]).write_bytes(jpeg)
        records.append(record)
    return records


def draw_image(seed: int, split: str, index: int, truth: str, family: str = SKETCHFER.family) -> tuple[bytes, Record]:
    """Image `index` of a split as JPEG bytes, and its annotation; both depend on the arguments only."""
    rng = np.random.default_rng([STREAMS[split], seed, index])
    person = f"{split}{rng.integers(IDENTITIES[split])}"
    au, style = sample_expression(rng, truth), sample_style(rng, family)
    label = confuse(rng, truth, LABEL_NOISE)
    face = render(au, identity(seed, person), style)
    buffer = io.BytesIO()
    Image.fromarray(face.image).save(buffer, "JPEG", quality=int(rng.integers(60, 96)))
    return buffer.getvalue(), {
        "file": f"{split}/{index:05d}.jpg",
        "split": split,
        "label": label,
        "true_class": truth,
        "aus": asdict(au),
        "identity": person,
        "style": asdict(style),
        "boxes": face.boxes,
    }


@cache
def identity(seed: int, person: str) -> Identity:
    """The person called 'train17' or 'test3'; each split has its own people."""
    split = person.rstrip("0123456789")
    return sample_identity(
        np.random.default_rng([STREAMS["identity"], seed, STREAMS[split], int(person[len(split) :])])
    )


def class_list(seed: int, split: str, count: int) -> list[str]:
    """`count` shuffled class names in RAF-DB's proportions, rounded by largest remainder."""
    shares = np.array(CLASS_COUNTS) / sum(CLASS_COUNTS) * count
    whole = np.floor(shares).astype(int)
    whole[np.argsort(whole - shares, kind="stable")[: count - whole.sum()]] += 1
    names = np.repeat(CLASSES, whole)
    return [str(n) for n in np.random.default_rng([STREAMS["labels"], seed, STREAMS[split]]).permutation(names)]
