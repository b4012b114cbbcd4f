"""Runs that were tested on the same images, in the same order."""

from __future__ import annotations

from collections.abc import Sequence

from mpafer.compare.runs import Experiment, Run


def aligned(experiments: Sequence[Experiment]) -> list[Experiment]:
    """The same experiments with every run's images in the order of the first run's.

    A validation set is drawn by the seed: there it is the order of the first run with that seed.

    Raises:
        ValueError: other images, or other labels.
    """
    drawn = all(entry.learns and run.split == "val" for entry in experiments for run in entry.runs)
    firsts: dict[int, Run] = {}

    def align(run: Run) -> Run:
        return _align(run, firsts.setdefault(run.seed if drawn else 0, run))

    return [
        Experiment(entry.folder, entry.trainer, entry.cfg, entry.shots, tuple(map(align, entry.runs)))
        for entry in experiments
    ]


def _align(run: Run, first: Run) -> Run:
    if run.images != first.images:
        place = {image: index for index, image in enumerate(run.images)}
        if len(place) < len(run.images) or len(run.images) != len(first.images) or place.keys() != set(first.images):
            only = len(place.keys() - set(first.images)), len(set(first.images) - place.keys())
            raise ValueError(
                f"{first.file} and {run.file} were tested on different images: {only[1]} only there, {only[0]} only "
                "here; they cannot be compared"
            )
        order = [place[image] for image in first.images]
        run = Run(run.file, run.record, first.images, run.labels[order], run.predicted[order])
    if (run.labels != first.labels).any():
        wrong = first.images[int((run.labels != first.labels).argmax())]
        raise ValueError(f"{first.file} and {run.file} have different labels for {wrong}: they cannot be compared")
    return run
