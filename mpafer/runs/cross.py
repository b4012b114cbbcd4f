"""The tests of runs on other data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mpafer.results.schema import RESULTS
from mpafer.runs.catalog import check_dataset
from mpafer.runs.folders import Pairs, dataset_folder, slug


@dataclass(frozen=True)
class CrossTest:
    """A finished run on the test images of another data set.

    Raises:
        OptionError: no such data set.
    """

    trained: Path  # folder of the run
    dataset: str
    folder: Path
    data: str
    options: Pairs = ()  # of the test

    def __post_init__(self) -> None:
        check_dataset(self.dataset)

    @property
    def name(self) -> str:
        return f"{self.trained} on {self.dataset}"

    @property
    def finished(self) -> bool:
        """Its result is there, and younger than the run's."""
        result, run = self.folder / RESULTS, self.trained / RESULTS
        return result.is_file() and run.is_file() and result.stat().st_mtime > run.stat().st_mtime

    @property
    def refusal(self) -> str:
        return ""

    @property
    def state(self) -> str:
        return "finished already, skipped" if self.finished else "tested"

    @property
    def command(self) -> list[str]:
        words = [word for pair in self.options for word in pair]
        return [
            "python", "-m", "mpafer.cross", str(self.trained), "--dataset", self.dataset, "--root", self.data,
            "--out", str(self.folder), *words,
        ]  # fmt: skip

    def run(self) -> None:
        """Test, in this process."""
        from mpafer.inference.cross import evaluate_and_tell

        evaluate_and_tell(
            self.trained, self.dataset, self.data, self.folder, options=[word for pair in self.options for word in pair]
        )


def plan(
    trained: Sequence[Path], targets: Sequence[str], out: Path, source: str, method: str, data: str, options: Pairs = ()
) -> list[CrossTest]:
    """Every run on every data set.

    Args:
        trained: folders of the runs, ``.../SETTINGS/seed1``.
        targets: data sets to test on.
        out: results go to OUT/cross_dataset/SOURCE/TARGET/METHOD/SETTINGS/seed1.
        source: what the runs were trained on.
        method: of the runs.
        data: folder of the data sets.
        options: KEY VALUE pairs of the test.
    """
    home = Path(out, "cross_dataset", source)
    tests = []
    for target in targets:
        place = home / dataset_folder(target, options) / method
        tests += [
            CrossTest(run, target, place / f"{run.parent.name}{slug(options)}" / run.name, data, options)
            for run in trained
        ]
    return tests
