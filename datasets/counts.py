"""The images that were found beside those that are published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from mpafer.datasets.items import Item, Splits

Published = Mapping[str, tuple[int, ...] | int]  # split -> images of each class, or only their total


def differing_counts(classes: Sequence[str], found: Sequence[Item], published: tuple[int, ...] | int) -> str:
    """How a split's images differ in number from the published ones, in words; "" = they do not.

    Args:
        classes: C names in label order.
        found: the split's images.
        published: images of each of the C classes, or only their total.
    """
    numbers = Counter(item.label for item in found)
    counts = () if isinstance(published, int) else published
    total = published if isinstance(published, int) else sum(published)
    parts = [(f"{name} ", numbers[i], counts[i]) for i, name in enumerate(classes) if counts]
    differing = [f"{name}{here} (published {there})" for name, here, there in parts if here != there]
    if not differing and len(found) == total:
        return ""
    return "; ".join([f"{len(found)} images (published {total})", ", ".join(differing)]).removesuffix("; ")


def by_class(
    classes: Sequence[str], splits: Splits, published: Published
) -> tuple[dict[str, list[str]], dict[str, dict[str, int]]]:
    """Split -> the class of each image; and split -> class -> published images, where both are known."""
    found = {split: [classes[item.label] for item in items] for split, items in splits.items()}
    known = {
        split: dict(zip(classes, counts, strict=True))
        for split, counts in published.items()
        if not isinstance(counts, int) and found.get(split)
    }
    return found, known
