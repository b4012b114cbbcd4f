"""Cross-validation: the folds' images pooled, and the mean over folds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import recall_score
from support.commands import invoke
from support.results import write_run

from mpafer.common.errors import DataError
from mpafer.results.folds import over_folds

NAMES = ["anger", "fear", "joy"]
LABELS = {1: [0, 0, 0, 1, 2, 2], 2: [0, 1, 1, 1], 3: [2, 2]}  # folds of unlike sizes; the last one has one class


def answers(fold: int, seed: int) -> np.ndarray:
    return np.random.default_rng([fold, seed, 3]).normal(size=(len(LABELS[fold]), 3)).astype(np.float32)


def write(out: Path, fold: int, seed: int = 1, **changed: Any) -> Path:
    lr = changed.pop("lr", 0.1)
    config = {"DATASET": {"NUM_SHOTS": -1, "FOLD": changed.pop("as_fold", fold)}, "OPTIM": {"LR": lr}, "SEED": seed}
    entries: dict[str, Any] = {
        "trainer": "MPAFER", "dataset": "CKPlus", "seed": seed, "config": config,
        "images": [f"fold{fold}/{number}.png" for number in range(len(LABELS[fold]))],
        "made_of": {"backbone": "b", "test": f"{fold}"},
    }  # fmt: skip
    folder = out / f"tiny_all_DATASET.FOLD={fold}_BETA=2/seed{seed}"
    return write_run(folder, scores=answers(fold, seed), labels=LABELS[fold], classnames=NAMES, **entries | changed)


def test_pooled_figures_and_means(tmp_path: Path) -> None:
    for fold in LABELS:
        for seed in (1, 2):
            write(tmp_path, fold, seed)
    (row,) = over_folds([tmp_path], 3)
    assert row["run"] == str(tmp_path / "tiny_all_BETA=2") and row["n"] == 2
    pooled, single = [], []
    for seed in (1, 2):
        predicted = {fold: answers(fold, seed).argmax(axis=1) for fold in LABELS}
        right = [predicted[fold] == LABELS[fold] for fold in LABELS]
        together = [np.concatenate([part[fold] for fold in LABELS]) for part in (LABELS, predicted)]
        pooled.append((100 * np.concatenate(right).mean(), 100 * recall_score(*together, average="macro")))
        recalls = [
            recall_score(LABELS[k], predicted[k], labels=sorted(set(LABELS[k])), average="macro") for k in LABELS
        ]
        single.append((100 * np.mean([part.mean() for part in right]), 100 * np.mean(recalls)))
    assert [row["pooled_war"], row["pooled_uar"]] == pytest.approx(np.mean(pooled, axis=0))
    assert [row["war"], row["uar"]] == pytest.approx(np.mean(single, axis=0))
    assert row["pooled_war_sd"] == pytest.approx(np.std([war for war, _ in pooled], ddof=1))
    assert abs(row["pooled_war"] - row["war"]) > 0.1 < abs(row["pooled_uar"] - row["uar"]), "the control: they differ"
    printed = invoke("report", "--folds", "3", "--json", str(tmp_path / "rows.json"), str(tmp_path))
    assert f"{row['pooled_war']:.2f} ± " in printed and "UAR of a fold" in printed
    assert json.loads((tmp_path / "rows.json").read_text()) == [row]


@pytest.mark.parametrize(
    ("changed", "count", "message"),
    [
        ({}, 4, r"tiny_all_BETA=2, seed 1: no finished run of DATASET\.FOLD 4"),
        ({}, 2, r"is of DATASET\.FOLD 3: each of 1 to 2 is wanted, once"),
        ({"as_fold": 0}, 3, r"is of DATASET\.FOLD 0: each of 1 to 3"),
        ({"as_fold": 2}, 3, r"is of DATASET\.FOLD 2: each of 1 to 3 is wanted, once"),
        ({"seed": 2}, 3, "seed 1: no finished run of DATASET.FOLD 3"),
        ({"lr": 0.2}, 3, r"folds of one row differ: .*OPTIM\.LR 0\.1 there, 0\.2 here"),
        ({"made_of": {"backbone": "other"}}, 3, "CLIP's weights 'b' there, 'other' here"),
        ({"images": ["fold1/0.png", "fold3/1.png"]}, 3, r"fold1/0\.png was tested more than once"),
    ],
)
def test_what_are_no_folds_of_one_run_is_refused(
    tmp_path: Path, changed: dict[str, Any], count: int, message: str
) -> None:
    for fold in (1, 2):
        write(tmp_path, fold)
    write(tmp_path, 3, **changed)
    with pytest.raises(DataError, match=message):
        over_folds([tmp_path], count)
