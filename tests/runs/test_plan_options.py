"""What is no option of a planned run, as its folder or its table would say something else."""

from __future__ import annotations

import pytest
from support.commands import invoke


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["SEED", "7"], "SEED is no KEY VALUE pair here: --seeds says it"),
        (["OUTPUT_DIR", "x"], "OUTPUT_DIR is no KEY VALUE pair here"),
        (["DATASET.NAME", "FER2013"], "DATASET.NAME is no KEY VALUE pair here"),
        (["DATASET.NUM_SHOTS", "4"], "DATASET.NUM_SHOTS is no KEY VALUE pair here: SHOTS says it"),
        (["OPTIM.LR", "0.1", "OPTIM.LR", "0.2"], "OPTIM.LR is given twice"),
    ],
)
def test_what_a_plan_says_is_no_option(options: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        invoke("run", "CoOp", "rafdb", "tiny", "4", *options, "--plan")
    with pytest.raises(SystemExit, match=message):
        invoke("compare", "rafdb", "4", *options, "--cfg", "tiny", "--plan")


@pytest.mark.parametrize(
    ("varied", "message"),
    [
        (["BETA=1", "BETA=2"], "an option is varied twice"),
        (["BETA=1", "TRAINER.MPAFER.BETA=2"], "an option is varied twice"),
        (["BETA=1,2", "TRAINER.MPAFER.BETA", "3"], "TRAINER.MPAFER.BETA is given twice"),
        (["DATASET.NUM_SHOTS=1,2"], "DATASET.NUM_SHOTS is no KEY VALUE pair here: SHOTS says it"),
        (["BETA=1", "--name", "../x"], "--name is a folder's name"),
    ],
)
def test_a_sweep_varies_what_its_table_says(varied: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        invoke("sweep", "MPAFER", "rafdb", *varied, "--cfg", "tiny", "--plan")


def test_an_unknown_reference_is_refused_before_anything_runs() -> None:
    with pytest.raises(SystemExit, match="no method 'Nope': known"):
        invoke("compare", "rafdb", "4", "--cfg", "tiny", "--reference", "Nope", "--plan")
