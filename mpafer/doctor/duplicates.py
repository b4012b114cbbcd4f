"""Images that are one picture: the same pixels, or so alike that one is probably an edited copy of the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from mpafer.doctor.images import THUMBNAIL, Facts

# Aligned faces resemble each other, so both must hold: few of 64 hash bits differ, and thumbnails correlate. Set on
# the 5,400 drawn faces: no pair of different ones there, while a copy saved again or resized is nearly always found.
DISTANCE = 6
SIMILARITY = 0.985
BLOCK = 256  # rows compared at a time


class Pair(NamedTuple):
    """Two paths and the correlation of their thumbnails."""

    first: str
    second: str
    similarity: float


def same_pixels(images: Iterable[Facts]) -> list[list[Facts]]:
    """Groups of two and more readable files with equal size and pixels, whatever their format."""
    groups: dict[bytes, list[Facts]] = defaultdict(list)
    for facts in images:
        if facts.pixels:
            groups[facts.pixels].append(facts)
    return [group for group in groups.values() if len(group) > 1]


def near_duplicates(images: Iterable[Facts]) -> list[Pair]:
    """Pairs that look alike without being equal, most alike first; flat images look like nothing."""
    different = list({facts.pixels: facts for facts in images if facts.pixels and not facts.flat}.values())
    if len(different) < 2:
        return []
    width, height = THUMBNAIL
    thumbnails = np.frombuffer(b"".join(facts.thumbnail for facts in different), np.uint8)
    pairs = similar_pairs(thumbnails.reshape(len(different), height, width))
    found = [Pair(different[a].path, different[b].path, round(value, 4)) for (a, b), value in pairs.items()]
    return sorted(found, key=lambda pair: -pair.similarity)


def similar_pairs(thumbnails: np.ndarray) -> dict[tuple[int, int], float]:
    """Thumbnails [N, H, W] -> (i, j) of every pair within DISTANCE and SIMILARITY, i < j, and its correlation."""
    bits = difference_hash(thumbnails)
    packed = np.packbits(bits, axis=1)
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    pairs: dict[tuple[int, int], float] = {}
    for members in _candidates(bits):
        for start in range(0, len(members), BLOCK):
            rows, others = members[start : start + BLOCK], members[start:]
            distances = _ONES[packed[rows, None] ^ packed[None, others]].sum(axis=2, dtype=np.uint8)
            i, j = np.nonzero(distances <= DISTANCE)
            i, j = rows[i], others[j]
            i, j = i[i < j], j[i < j]  # members ascend: each pair once, none with itself
            similar = (flat[i] * flat[j]).sum(axis=1)
            kept = similar >= SIMILARITY
            pairs.update(zip(zip(i[kept].tolist(), j[kept].tolist(), strict=True), similar[kept].tolist(), strict=True))
    return pairs


def difference_hash(thumbnails: np.ndarray) -> np.ndarray:
    """Thumbnails [N, 2h, 2w] -> bits [N, h * (w - 1)]: where brightness rises to the right between blocks."""
    n, height, width = thumbnails.shape
    blocks = thumbnails.reshape(n, height // 2, 2, width // 2, 2).sum(axis=(2, 4), dtype=np.int32)
    return (blocks[:, :, 1:] > blocks[:, :, :-1]).reshape(n, -1)


def _candidates(bits: np.ndarray) -> Iterator[np.ndarray]:
    """Indices, ascending, of hashes that agree in one of DISTANCE + 1 bands: no pair within DISTANCE escapes."""
    for band in np.array_split(bits, DISTANCE + 1, axis=1):
        keys = band @ (1 << np.arange(band.shape[1]))
        order = np.argsort(keys, kind="stable")
        cuts = np.nonzero(np.diff(keys[order]))[0] + 1
        yield from (members for members in np.split(order, cuts) if len(members) > 1)


_ONES = np.array([number.bit_count() for number in range(256)], np.uint8)
