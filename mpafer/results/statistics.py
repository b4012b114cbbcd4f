"""Is a difference between two methods more than the luck of the test images? Paired bootstrap, Holm's correction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mpafer.results.experiments import Experiment

RESAMPLES = 10_000
SPLITS = {"test": "test", "val": "validation"}
_EXPLANATION = (
    "ΔWAR is the mean, over the seeds that both have, of the {row}'s accuracy minus the reference's on the same "
    "{split} images, in percentage points; its 95 % interval (percentiles) and two-sided p come from a paired "
    "bootstrap of the {split} images ({resamples:,} resamples, the same ones for all seeds, NumPy generator with "
    "seed 0), p being (1 + the number of resamples, centred on zero, at least as far from it as ΔWAR) / (1 + the "
    "number of resamples); p_holm is p after Holm's correction over the {row}s of the table; a result that depends on "
    "no seed (n = 1) is paired with each seed of the other; the interval covers the luck of the {split} images, not "
    "that of the seeds."
)


def explanation(row: str = "method", split: str = "test") -> str:
    """What the differences in a table are; ``row``: what stands in its rows."""
    text = _EXPLANATION.format(row=row, split=SPLITS[split], resamples=RESAMPLES)
    return text if split == "test" else f"{text[:-1]}; an image that several seeds validate on is drawn for them all."


@dataclass(frozen=True)
class Difference:
    """In percentage points; ``seeds`` are those that were paired."""

    mean: float
    low: float
    high: float
    p: float
    seeds: tuple[int, ...] = ()


def paired_bootstrap(gains: NDArray[Any], seeds: float = 1, resamples: int = RESAMPLES) -> Difference:
    """Bootstrap over images of a difference in accuracy.

    gains: [N] integers, per image the number of seeds, out of ``seeds``, at which only the one method is right
    minus the number at which only the other is. As an image enters by its gain alone, drawing N images with
    replacement is drawing how often each value of the gain occurs: a multinomial. All sums are whole numbers, so
    ties are counted exactly. Where not every seed has every image, ``seeds`` is the mean number of seeds an image has.
    """
    import numpy as np

    images, observed = len(gains), int(gains.sum())
    values, counts = np.unique(gains, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(images, counts / images, size=resamples) @ values  # [resamples]
    extreme = int((np.abs(drawn - observed) >= abs(observed)).sum())
    scale = 100.0 / (images * seeds)
    low, high = (float(bound) * scale for bound in np.percentile(drawn, (2.5, 97.5)))
    return Difference(observed * scale, low, high, (1 + extreme) / (1 + resamples))


def difference(method: Experiment, reference: Experiment) -> Difference | None:
    """Of two experiments with aligned images, method minus reference; None where no seed is common."""
    import numpy as np

    ours, theirs = ({run.seed: run for run in side.runs} for side in (method, reference))
    if not method.learns:
        ours = dict.fromkeys(theirs, *ours.values())
    elif not reference.learns:
        theirs = dict.fromkeys(ours, *theirs.values())
    seeds = tuple(seed for seed in ours if seed in theirs)
    if not seeds:
        return None
    gains: Counter[str] = Counter()  # by image, over the seeds that have it
    for seed in seeds:
        for image, gain in zip(ours[seed].images, ours[seed].correct * 1 - theirs[seed].correct, strict=True):
            gains[image] += int(gain)
    tested = sum(len(ours[seed].images) for seed in seeds)
    found = paired_bootstrap(np.array(list(gains.values())), tested / len(gains))
    return Difference(found.mean, found.low, found.high, found.p, seeds)


def holm(values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of p values, in their order."""
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = highest
    return adjusted
