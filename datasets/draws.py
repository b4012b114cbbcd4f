"""Which classes, which few images, which validation images: drawn by the seed alone."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from mpafer.common.errors import OptionError
from mpafer.datasets.items import Item
from mpafer.prompting.expressions import canonical, class_key


def draw_shots(train: list[Item], val: list[Item], shots: int, seed: int) -> tuple[list[Item], list[Item]]:
    """CoOp's draw: `shots` training and at most 4 validation images per class, the same for the same seed.

    It starts from the seed itself, so that whatever was drawn before cannot change it.
    """
    if shots < 1:
        return train, val
    state = random.getstate()
    if seed >= 0:
        random.seed(seed)
    print(f"Creating a {shots}-shot dataset")
    train = _few(train, shots)
    if val:
        print(f"Creating a {min(shots, 4)}-shot dataset")
        val = _few(val, min(shots, 4))
    random.setstate(state)
    return train, val


def _few(items: list[Item], shots: int) -> list[Item]:
    """By Python's `random`, exactly as Dassl draws; a class with fewer images keeps all of them."""
    groups: dict[int, list[Item]] = defaultdict(list)  # labels in order of first appearance
    for item in items:
        groups[item.label].append(item)
    drawn = (random.sample(group, shots) if len(group) >= shots else group for group in groups.values())
    return [item for group in drawn for item in group]


def choose_classes(classes: Sequence[str], which: str) -> list[str]:
    """DATASET.SUBSAMPLE_CLASSES: "all", CoOp's halves "base" and "new", or names and commas, in order."""
    half = (len(classes) + 1) // 2
    if which in ("all", "base", "new"):
        return list({"all": classes, "base": classes[:half], "new": classes[half:]}[which])
    chosen = [key if (key := class_key(name)) in classes else canonical(name) for name in which.split(",")]
    if foreign := set(chosen) - set(classes):
        raise OptionError(f"DATASET.SUBSAMPLE_CLASSES: no class {', '.join(sorted(foreign))} in {', '.join(classes)}")
    if len(set(chosen)) < len(chosen):
        raise OptionError(f"DATASET.SUBSAMPLE_CLASSES names a class twice: {which}")
    return chosen


def stratified_cut(items: list[Item], fraction: float, seed: int) -> tuple[list[Item], list[Item]]:
    """Split off a validation set with the classes' shares kept; the order of the images is kept too."""
    from sklearn.model_selection import train_test_split  # a slow import that few runs need

    if not 0 < fraction < 1:
        raise OptionError(f"DATASET.VAL_FRACTION must lie between 0 and 1, but is {fraction}")
    labels = [item.label for item in items]
    try:
        kept, cut = train_test_split(range(len(items)), test_size=fraction, stratify=labels, random_state=max(seed, 0))
    except ValueError as error:
        raise OptionError(
            f"cannot cut DATASET.VAL_FRACTION {fraction} of {len(items)} training images "
            f"with every class in both parts: {error}"
        ) from error
    return [items[i] for i in sorted(kept)], [items[i] for i in sorted(cut)]
