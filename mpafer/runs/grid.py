"""The runs of a sweep: every combination of the values of some options."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

from mpafer.common.errors import DataError, OptionError
from mpafer.common.texts import read_yaml
from mpafer.results.experiments import shots_name
from mpafer.runs.folders import Pairs
from mpafer.runs.plan import Job, Place, experiment

Grid = dict[str, list[str]]  # option -> its values
Point = dict[str, str]  # option -> one of its values


def read_grid(method: str, file: str | None, words: Sequence[str]) -> Grid:
    """What is varied.

    Args:
        method: a key without a dot is one of its options.
        file: a YAML of KEY: [values], or None.
        words: ``KEY=a,b,c``, each over what the file has.

    Raises:
        DataError: a file that is anything else.
        OptionError: nothing is varied, or an option or a value stands twice.
    """
    from mpafer.run_config import find_method

    grid = _read_file(file) if file else {}
    varied = [word.partition("=")[0] for word in words]
    for word in words:
        key, _, values = word.partition("=")
        grid[key] = values.split(",")
    if not grid:
        raise OptionError("nothing is varied: give KEY=a,b,c, or --grid FILE")
    for key, several in grid.items():
        if not all(several) or len(set(several)) < len(several):
            raise OptionError(f"{key}={','.join(several)}: values must be there, each once")
    node = find_method(method).node
    whole = {key if "." in key else f"TRAINER.{node}.{key}": values for key, values in grid.items()}
    if len(set(varied)) < len(varied) or len(whole) < len(grid):
        raise OptionError(f"an option is varied twice: {' '.join(words)}; put all of its values behind one KEY=")
    return whole


def plan(
    method: str,
    dataset: str,
    cfg: str,
    shots: Sequence[int],
    grid: Grid,
    fixed: Pairs,
    seeds: Sequence[int],
    place: Place,
) -> list[tuple[Point, list[Job]]]:
    """Every combination of values and shots, and its runs over seeds."""
    points = []
    for values, number in product(product(*grid.values()), shots):
        point = dict(zip(grid, values, strict=True))
        label = " ".join([*(f"{key.rpartition('.')[2]}={value}" for key, value in point.items()), shots_name(number)])
        jobs = experiment(method, dataset, cfg, number, (*point.items(), *fixed), seeds, place, label)
        points.append((point, jobs))
    return points


def _read_file(file: str) -> Grid:
    content = read_yaml(Path(file))
    if not (isinstance(content, dict) and content and all(isinstance(values, list) for values in content.values())):
        raise DataError(f"{file} must map keys to lists of values, for example OPTIM.LR: [0.002, 0.032]")
    return {str(key): [str(value) for value in values] for key, values in content.items()}
