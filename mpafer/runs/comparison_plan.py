"""The runs of a comparison: methods on one data set."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from mpafer.common.errors import OptionError
from mpafer.results.experiments import ALL, shots_name
from mpafer.runs.catalog import learns, method_names
from mpafer.runs.folders import Pairs
from mpafer.runs.plan import Job, Place, experiment


def plan(
    dataset: str,
    cfg: str,
    shots: Sequence[int],
    options: Pairs,
    methods: Sequence[str],
    seeds: Sequence[int],
    place: Place,
) -> list[Job]:
    """Every method with every number of shots, over seeds; one that learns nothing has a run for all of them.

    Args:
        dataset: its name.
        cfg: the methods' config.
        shots: images a class.
        options: KEY VALUE pairs of all methods.
        methods: their names; none: all that have this config.
        seeds: of the runs.
        place: of data and results.

    Raises:
        OptionError: no method, or seeds that would share nothing.
    """
    methods = methods or method_names(cfg)
    if not methods:
        raise OptionError(f"no method has a config {cfg!r}")
    if ("TEST.SPLIT", "val") in options and not all(map(learns, methods)):
        raise OptionError(
            "validation images differ by seed, and a method that learns nothing runs once: name METHODS that learn to "
            "compare on TEST.SPLIT val"
        )
    jobs: list[Job] = []
    for number, method in product(shots, methods):
        own = number if learns(method) else ALL
        label = f"{method} {shots_name(own)}"
        jobs += experiment(method, dataset, cfg, own, options, seeds, place, label)
    return jobs
