"""Is a difference between two methods more than the luck of the test images? Paired bootstrap, Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mpafer.compare.runs import Experiment

RESAMPLES = 10_000
METHOD = (
    "ΔWAR is the mean, over the seeds that both have, of the method's accuracy minus the reference's on the same test "
    "images, in percentage points; its 95 % interval (percentiles) and two-sided p come from a paired bootstrap of the "
    f"test images ({RESAMPLES:,} resamples, the same ones for all seeds, NumPy generator with seed 0), p being "
    "(1 + the number of resamples, centred on zero, at least as far from it as ΔWAR) / (1 + the number of resamples); "
    "p_holm is p after Holm's correction over the methods of the table; a result that depends on no seed (n = 1) is "
    "paired with each seed of the other; the interval covers the luck of the test images, not that of the seeds."
)


@dataclass(frozen=True)
class Difference:
    """In percentage points; ``seeds`` are those that were paired."""

    mean: float
    low: float
    high: float
    p: float
    seeds: tuple[int, ...] = ()


def paired_bootstrap(gains: NDArray[Any], seeds: int = 1, resamples: int = RESAMPLES) -> Difference:
    """Bootstrap over images of a difference in accuracy.

    gains: [N] integers, per image the number of seeds, out of ``seeds``, at which only the one method is right
    minus the number at which only the other is. As an image enters by its gain alone, drawing N images with
    replacement is drawing how often each value of the gain occurs: a multinomial. All sums are whole numbers, so
    ties are counted exactly.
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
    ours, theirs = ({run.seed: run.correct.astype(int) for run in side.runs} for side in (method, reference))
    if not method.learns:
        ours = dict.fromkeys(theirs, *ours.values())
    elif not reference.learns:
        theirs = dict.fromkeys(ours, *theirs.values())
    seeds = tuple(seed for seed in ours if seed in theirs)
    if not seeds:
        return None
    found = paired_bootstrap(sum(ours[seed] - theirs[seed] for seed in seeds), len(seeds))
    return Difference(found.mean, found.low, found.high, found.p, seeds)


def holm(values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of p values, in their order."""
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = highest
    return adjusted
