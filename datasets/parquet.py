"""Parquet shards of images and labels, as hubs of data sets publish them: decoded once into image files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mpafer.common.errors import DataError, MissingPackageError
from mpafer.common.files import keep_folder
from mpafer.common.progress import progress
from mpafer.datasets.columns import HEADERS, SPLIT_NAMES, plain_header
from mpafer.datasets.items import log
from mpafer.datasets.remembered import kept, remembered, save_bytes
from mpafer.datasets.tables import Row

# How the bytes of an image start -> its file's ending.
ENDINGS = {
    b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"BM": ".bmp", b"II*\0": ".tif", b"MM\0*": ".tif", b"RIFF": ".webp",
    b"GIF8": ".gif",
}  # fmt: skip
IMAGE_COLUMNS = (*HEADERS["file"], "imagebytes", "bytes", "imgbytes")
BATCH = 256  # rows read at a time


def find_shards(folder: Path) -> list[tuple[Path, str]]:
    """The shards in a folder, in data/, or in folders of splits, and each one's split: `train-00000-of-00004.parquet`.

    Raises:
        DataError: a shard of which neither its name nor its folder tells the split.
    """
    shards = []
    depths = (sorted(folder.glob(pattern)) for pattern in ("*.parquet", "*/*.parquet", "*/*/*.parquet"))
    for path in next((found for found in depths if found), []):
        words = [*re.split(r"[-_.]", path.stem.lower()), path.parent.name.lower()]
        split = next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), "")
        if not split:
            raise DataError(f"{path}: neither its name nor its folder tells its split; name it train-..., test-...")
        shards.append((path, split))
    return shards


def read_shards(folder: Path, shards: Sequence[tuple[Path, str]]) -> tuple[list[Row], Mapping[int, str]]:
    """Rows with their decoded files, and number -> class where the shards say it.

    The images are kept in mpafer_pixels/KEY beside the shards or, those being read-only, in the user's cache; their
    bytes stay what they are.

    Raises:
        MissingPackageError: pyarrow is not installed.
        DataError: a shard without a column of images or labels, or a row without an image.
    """
    rows: list[Row] = []
    names: dict[int, str] = {}
    for shard, split in shards:
        (key, _), *found = remembered([shard], "parquet", lambda shard=shard: _scan(shard))  # type: ignore[misc]
        target = keep_folder(folder, "pixels") / key
        target.mkdir(parents=True, exist_ok=True)
        files = [f"{number:06d}{ending}" for number, (_, ending) in enumerate(found)]
        if not set(files) <= (there := kept(target)):
            pairs = zip(files, _rows(shard), strict=True)
            for file, (content, _) in progress(pairs, f"images -> {target}"):
                if file not in there:
                    save_bytes(content, target / file)
        rows += [
            Row(f"{shard}, row {number}", f"{target}/{file}", label, split)
            for number, (file, (label, _)) in enumerate(zip(files, found, strict=True))
        ]
        names |= _names(shard)
    log.info("reading %d shards of parquet in %s: %s rows", len(shards), folder, f"{len(rows):,}")
    return rows, names


def _scan(shard: Path) -> list[list[str]]:
    """A key of the shard's bytes; then each row's label and its image's ending."""
    digest = hashlib.sha256()
    with open(shard, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    found = [[digest.hexdigest()[:12], ""]]
    for number, (content, label) in enumerate(progress(_rows(shard), f"checking {shard.name}")):
        ending = next((ending for start, ending in ENDINGS.items() if content.startswith(start)), "")
        if not ending or label is None:
            raise DataError(f"{shard}, row {number}: {'no label' if ending else 'no image that we know the format of'}")
        found.append([str(label), ending])
    return found


@contextmanager
def _opened(shard: Path) -> Iterator[Any]:
    """A shard, as pyarrow opens it; what is wrong with it is said with its name."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise MissingPackageError(
            f"reading {shard} needs pyarrow: pip install 'mpafer[parquet]', or pip install pyarrow"
        ) from None
    try:
        with ParquetFile(shard, page_checksum_verification=True) as file:
            yield file
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{shard} is no parquet file, or a damaged one: {error}") from None


def _rows(shard: Path) -> Iterator[tuple[bytes, Any]]:
    """The bytes and the label of each row."""
    with _opened(shard) as file:
        fields = {plain_header(name): name for name in file.schema_arrow.names}
        image = next((fields[name] for name in IMAGE_COLUMNS if name in fields), None)
        label = next((fields[name] for name in HEADERS["label"] if name in fields), None)
        if image is None or label is None:
            names = ", ".join(fields.values())
            raise DataError(f"{shard} has no column {'label' if image else 'image'}; it has {names}")
        for batch in file.iter_batches(BATCH, columns=[image, label]):
            for row in batch.to_pylist():
                content = row[image].get("bytes") if isinstance(row[image], dict) else row[image]
                yield content if isinstance(content, bytes) else b"", row[label]


def _names(shard: Path) -> dict[int, str]:
    """Number -> class, from the description of the columns that the datasets library leaves in a shard."""
    with _opened(shard) as file:
        metadata = file.schema_arrow.metadata or {}
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        labels = [about["names"] for about in features.values() if isinstance(about, dict) and "names" in about]
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return dict(enumerate(map(str, labels[0]))) if len(labels) == 1 else {}
