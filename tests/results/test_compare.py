"""Methods side by side: the statistics, the tables and figures made from results, refusals, and the script."""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.results import write_run
from support.runs import REPO, SMALL, environment, make_world, results

from mpafer.compare import main
from mpafer.datasets.rafdb import RAFDB
from mpafer.results.comparison import compare
from mpafer.results.comparison_pages import write_comparison
from mpafer.results.experiments import load_experiments
from mpafer.results.statistics import holm, paired_bootstrap

NAMES = ["surprise", "fear", "anger"]
IMAGES = [f"data/test_{i:04d}.jpg" for i in range(300)]
LABELS = np.arange(300) % 3


def scores(wrong: Any) -> np.ndarray:
    """[N, 3] logits that are right everywhere but at the indices ``wrong``, where they name the next class."""
    named = LABELS.copy()
    named[np.asarray(wrong, dtype=int)] += 1
    return 5.0 * np.eye(3)[named % 3]


def result(
    runs: Path, trainer: str, folder: str, seed: int, wrong: Any, *, shots: int = -1, learn: int = 640, **other: Any
) -> Path:
    config = {
        "SEED": seed,
        "OUTPUT_DIR": folder,
        "DATASET": {"NUM_SHOTS": shots, "ROOT": "data"},
        "MODEL": {"BACKBONE": {"NAME": "tiny"}},
        "OPTIM": {"LR": other.pop("lr", 0.1)},
    }
    settings: dict[str, Any] = {
        "dataset": "RAFDB", "classnames": NAMES, "images": IMAGES, "labels": LABELS, "scores": scores(wrong),
        "checkpoint_bytes": 9 * learn, "train_seconds": learn / 100, "images_per_second": learn / 10,
        "peak_memory_bytes": 3 * 2**20,
    }  # fmt: skip
    directory = runs / trainer / folder / f"seed{seed}"
    entries = {"trainer": trainer, "seed": seed, "config": config, "learnable_values": learn}
    return write_run(directory, **settings | entries | other)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """MPAFER and CoOp with two seeds at 4 shots and at all images, zero-shot once."""
    folder = tmp_path / "runs"
    result(folder, "ZeroshotCLIP", "tiny_all", 1, range(120), learn=0)
    for seed in (1, 2):
        for shots, name, more in ((4, "tiny_4shots", 45), (-1, "tiny_all", 0)):
            result(folder, "MPAFER", name, seed, range(30 + 15 * seed + more), shots=shots)
            result(folder, "CoOp", name, seed, range(30 + 15 * seed + more, 150 + 15 * seed), shots=shots, learn=64)
    return folder


# --- statistics


def test_bootstrap_is_what_enumerating_all_resamples_gives() -> None:
    gains = np.array([1, 1, 1, 0, -1, 2])
    sums = np.array([sum(drawn) for drawn in itertools.product(gains, repeat=len(gains))])  # all 6^6 resamples
    exact = float((np.abs(sums - gains.sum()) >= gains.sum()).mean())
    found = paired_bootstrap(gains, seeds=2)
    assert found.mean == pytest.approx(100 * gains.sum() / 12)
    assert found.p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 10_000))
    assert [found.low, found.high] == pytest.approx(list(np.percentile(sums, (2.5, 97.5)) / 12 * 100), abs=100 / 12)
    assert abs(found.p - (sums <= 0).mean()) > 0.02, "the control: one-sided it would be another number"


def test_bootstrap_agrees_with_scipy_and_needs_the_pairs() -> None:
    from scipy.stats import bootstrap

    rng = np.random.default_rng(5)
    theirs = (rng.random((3, 800)) < 0.7).astype(int)
    ours = np.where(rng.random((3, 800)) < 0.1, 1, theirs)  # right wherever they are, and at some more
    found = paired_bootstrap((ours - theirs).sum(axis=0), seeds=3)
    images = (ours.mean(axis=0), theirs.mean(axis=0))

    def interval(paired: bool) -> tuple[float, float]:
        def statistic(a: Any, b: Any, axis: int) -> Any:
            return a.mean(axis=axis) - b.mean(axis=axis)

        bounds = bootstrap(
            images, statistic, paired=paired, method="percentile", n_resamples=4000, rng=np.random.default_rng(1)
        ).confidence_interval
        return 100 * bounds.low, 100 * bounds.high

    assert interval(paired=True) == pytest.approx((found.low, found.high), abs=0.12)
    low, high = interval(paired=False)
    assert high - low > 1.5 * (found.high - found.low), "the control: without the pairs the interval is wider"
    assert found.p == 1 / 10_001


def test_p_is_uniform_without_an_effect_and_small_with_one() -> None:
    rng = np.random.default_rng(3)
    shares = (0.1, 0.8, 0.1)
    null = [paired_bootstrap(rng.choice([-1, 0, 1], size=400, p=shares), resamples=1000).p for _ in range(400)]
    assert 0.015 < np.mean(np.array(null) < 0.05) < 0.09 and 0.4 < np.mean(null) < 0.6
    some = [paired_bootstrap(rng.choice([-1, 0, 1], size=400, p=(0.05, 0.8, 0.15)), resamples=1000).p for _ in "x" * 50]
    assert np.mean(np.array(some) < 0.05) > 0.9, "the control: an effect is found"
    same = paired_bootstrap(np.zeros(50, dtype=int))
    assert (same.mean, same.low, same.high, same.p) == (0, 0, 0, 1)
    assert paired_bootstrap(np.array([1, -1] * 50)).p == 1, "symmetric: every resample is as extreme"


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1, 1] and holm([]) == []


# --- rows


def test_rows_hold_means_deviations_costs_and_paired_differences(runs: Path) -> None:
    few, whole = compare(load_experiments(runs)).blocks
    assert [few.shots, whole.shots] == [4, -1]
    assert [row["method"] for row in whole.rows] == ["MPAFER", "CoOp", "ZeroshotCLIP"], "the reference first"
    ours, coop, zero = whole.rows
    assert ours["accuracy"] == pytest.approx(100 - (45 + 60) / 2 / 3) and ours["n"] == 2
    assert ours["accuracy_sd"] == pytest.approx(5 / np.sqrt(2)) and ours["difference"] is None
    assert coop["learnable_values"] == 64 and coop["checkpoint_bytes"] == 576 and coop["images_per_second"] == 6.4
    assert coop["recall"]["fear"] == pytest.approx(60) and coop["peak_memory_bytes"] == 3 * 2**20
    # CoOp is wrong at 45..164 (seed 1) and 60..179, MPAFER at 0..44 and 0..59: never both
    gains = sum((np.arange(300) < a).astype(int) - ((np.arange(300) >= a) & (np.arange(300) < b)) for a, b in
                ((45, 165), (60, 180)))  # fmt: skip
    drawn = np.random.default_rng(8).integers(300, size=(4000, 300))  # the definition, literally
    shifts = 100 * gains[drawn].mean(axis=1) / 2
    assert coop["difference"] == pytest.approx(100 * gains.mean() / 2) == pytest.approx(-22.5)
    assert [coop["difference_low"], coop["difference_high"]] == pytest.approx(
        list(np.percentile(shifts, (2.5, 97.5))), abs=0.6
    )
    assert coop["p"] == 1 / 10_001 and coop["paired_seeds"] == [1, 2]
    assert coop["p_holm"] == pytest.approx(2 / 10_001)
    assert zero["n"] == 1 and zero["paired_seeds"] == [1, 2], "paired with each seed of the reference"
    assert zero["difference"] == pytest.approx(-(120 - 52.5) / 3) and zero["train_seconds"] is None
    again = few.rows[2]
    assert again["accuracy"] == zero["accuracy"] and again["shots"] == 4 and again["difference"] != zero["difference"]
    assert few.rows[1]["p"] > 0.01, "the control: at 4 shots the difference is small"


def test_the_order_of_images_does_not_matter_but_their_names_do(runs: Path) -> None:
    before = compare(load_experiments(runs)).blocks[1].rows[1]
    file = runs / "CoOp/tiny_all/seed1/results.json"
    record = json.loads(file.read_text())
    record["predictions"].reverse()
    file.write_text(json.dumps(record))
    assert compare(load_experiments(runs)).blocks[1].rows[1] == before
    names = [row["image"] for row in record["predictions"]]
    moved = np.random.default_rng(0).permutation(300)
    for row, place in zip(record["predictions"], moved, strict=True):  # the same predictions under other names
        row["image"] = names[place]
    for row in record["predictions"]:
        row["label"], row["pred"] = int(LABELS[IMAGES.index(row["image"])]), row["pred"]
    file.write_text(json.dumps(record))
    assert compare(load_experiments(runs)).blocks[1].rows[1]["difference_low"] != before["difference_low"]


def test_common_seeds_alone_are_paired(runs: Path) -> None:
    result(runs, "CoOp", "tiny_all", 7, range(300))
    result(runs, "VPT", "tiny_all", 9, range(10))
    comparison = compare(load_experiments(runs, shots=[-1]))
    rows = {row["method"]: row for row in comparison.blocks[0].rows}
    assert rows["CoOp"]["n"] == 3 and rows["CoOp"]["paired_seeds"] == [1, 2]
    assert rows["VPT"]["difference"] is None
    assert comparison.warnings == ["all: VPT and MPAFER have no seed in common, hence no difference"]


def test_configs_are_rows_of_their_own_and_seeds_of_zero_shot_are_not(runs: Path) -> None:
    result(runs, "CoOp", "tiny_all_N_CTX=4", 1, range(20))
    result(runs, "ZeroshotCLIP", "tiny_all", 2, range(120), learn=0)
    result(runs, "ZeroshotCLIP", "tiny_4shots", 1, range(120), shots=4, learn=0)
    comparison = compare(load_experiments(runs), "MPAFER tiny")
    assert [row["method"] for row in comparison.blocks[1].rows] == [
        "MPAFER tiny", "CoOp tiny", "CoOp tiny_N_CTX=4", "ZeroshotCLIP tiny",
    ]  # fmt: skip
    assert [row["n"] for row in comparison.blocks[1].rows] == [2, 2, 1, 1]
    assert len(comparison.blocks[0].rows) == 3
    chosen = compare(load_experiments(runs, shots=[-1, 8], cfgs=["tiny"]), shots=[-1, 8])
    assert [row["method"] for block in chosen.blocks for row in block.rows] == ["MPAFER", "CoOp", "ZeroshotCLIP"]
    assert chosen.warnings == ["no result of a method that learns: 8shots"]


# --- what is written


def png_size(data: bytes) -> tuple[int, int]:
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def test_files_and_figures(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "comparison"
    main([str(runs), "--out", str(out)])
    printed = capsys.readouterr().out
    assert re.search(r"MPAFER +2 +82\.50 ± 3\.54", printed) and "95 % interval" in printed and str(out) in printed

    text = (out / "comparison.md").read_text()
    assert re.search(
        r"\| CoOp +\| +2 \| +60\.00 ± 0\.00 \|.*\| +-22\.50 \| +-\d\d\.\d\d to -1\d\.\d\d \| 0\.0001 \|", text
    )
    assert re.search(r"\| ZeroshotCLIP +\| +1 \| +60\.00 \|", text)
    assert text.count("10,000 resamples") == 2, "one sentence under each table"
    assert "## Published, not measured here" in text and "APViT" in text and "92.51" in text
    assert text.index("CoOp") < text.index("APViT") and "drawn faces" not in text

    with open(out / "comparison.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 and {row["shots"] for row in rows} == {"4", "-1"} and "APViT" not in str(rows)
    assert float(rows[3]["accuracy"]) == pytest.approx(82.5) and rows[4]["paired_seeds"] == "1 2"
    assert {"recall_fear", "recall_fear_sd", "p_holm", "peak_memory_of", "train_seconds"} <= rows[0].keys()

    data = json.loads((out / "comparison.json").read_text())
    assert [table["shots"] for table in data["tables"]] == [4, -1] and data["test_images"] == 300
    assert data["tables"][1]["rows"][1]["difference"] == pytest.approx(-22.5)
    assert data["published"]["rows"]["APViT"] == 91.98

    figures = sorted(path.name for path in (out / "figures").iterdir())
    learned = [f"confusion_{method}_{shots}.png" for method in ("CoOp", "MPAFER") for shots in ("4shots", "all")]
    names = ["accuracy.png", *learned, "confusion_ZeroshotCLIP.png"]
    assert figures == sorted(
        str(Path(name).with_suffix(ending)) for name in names for ending in (".pdf", ".png", ".svg")
    )
    for name in names:
        image = (out / "figures" / name).read_bytes()
        assert all(300 < side < 1500 for side in png_size(image)) and 5_000 < len(image) < 200_000
        assert f"figures/{name}" in text
        assert (out / "figures" / name).with_suffix(".pdf").read_bytes().startswith(b"%PDF-")
        assert "<svg" in (out / "figures" / name).with_suffix(".svg").read_text()

    page = (out / "comparison.html").read_text()
    assert page.count("data:image/png;base64,") == 6 and page.count("<table") == 7
    assert not re.search(r"""(src|href)=["'](?!data:)|@import|url\(|<script""", page), "nothing is fetched"
    assert page.endswith("</html>\n") and "82.50 ± 3.54" in page and "CEPrompt" in page

    first = {path: path.read_bytes() for path in out.rglob("*.*") if path.is_file()}
    write_comparison(str(runs), str(out))
    assert {path: path.read_bytes() for path in out.rglob("*.*") if path.is_file()} == first


def test_confusion_is_normalised_over_the_seeds_sum(runs: Path) -> None:
    from mpafer.results.figures import confusion_shares

    (entry,) = (entry for entry in load_experiments(runs, [-1]) if entry.trainer == "MPAFER")
    shares = confusion_shares(entry)
    assert shares.sum(axis=1) == pytest.approx([1, 1, 1])
    assert shares[0] == pytest.approx([1 - 35 / 200, 35 / 200, 0])


def test_drawn_faces_carry_their_warning_and_no_published_rows(tmp_path: Path) -> None:
    result(tmp_path / "runs", "MPAFER", "tiny_all", 1, [0], dataset="SketchFER")
    write_comparison(str(tmp_path / "runs"), str(tmp_path / "out"))
    text = (tmp_path / "out/comparison.md").read_text()
    assert "say nothing about photographs" in text and "Published" not in text
    assert "ΔWAR" not in text, "nothing to compare with"


def test_published_figures_are_whole() -> None:
    known = yaml.safe_load((REPO / "mpafer/results/published.yaml").read_text())
    assert (
        set(known["rows"]) == {"RAFDB", "FERPlus", "AffectNet7", "AffectNet8"} and "arXiv 2506.21017" in known["source"]
    )
    assert all(len(rows) == 7 for rows in known["rows"].values())
    assert all(50 < value < 95 for rows in known["rows"].values() for value in rows.values())


def test_help_is_quick() -> None:
    code = (
        "import sys, contextlib, mpafer.compare as m\n"
        "with contextlib.suppress(SystemExit): m.main(['--help'])\n"
        "print(sorted({'torch', 'matplotlib', 'sklearn', 'yacs'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]" and "--reference" in done.stdout


# --- refusals


def broken(runs: Path) -> str:
    (runs / "CoOp/tiny_all/seed1/results.json").write_text("{")
    return r"CoOp/tiny_all/seed1/results\.json is not a result file of ours"


def without_predictions(runs: Path) -> str:
    (runs / "CoOp/tiny_all/seed2/results.json").write_text('{"metrics": {"accuracy": 90}}')
    return r"CoOp/tiny_all/seed2/results\.json is not a result file of ours: it lacks classnames, config, dataset"


def other_data(runs: Path) -> str:
    result(runs, "ZeroshotCLIP", "tiny_all", 2, [0], learn=0, dataset="FERPlus")
    return r"results\.json and .*ZeroshotCLIP.*results\.json are of different data sets \(RAFDB there, FERPlus here\)"


def other_config(runs: Path) -> str:
    result(runs, "CoOp", "tiny_all", 3, [0], lr=0.2)
    return r"seeds of one row differ: .*seed1.* and .*seed3.* \(OPTIM\.LR 0\.1 there, 0\.2 here\)"


def other_images(runs: Path) -> str:
    result(runs, "VPT", "tiny_all", 1, [0], images=[*IMAGES[:-1], "data/new.jpg"])
    return r"CoOp/.*results\.json and .*VPT/.*results\.json were tested on different images: 1 only there, 1 only here"


def other_labels(runs: Path) -> str:
    result(runs, "VPT", "tiny_all", 1, [0], labels=(LABELS + (np.arange(300) == 7)) % 3)
    return r"CoOp/.* and .*VPT/.* have different labels for data/test_0007\.jpg"


def one_seed_twice(runs: Path) -> str:
    file = result(runs, "CoOp", "tiny_all", 5, [0])
    file.parent.rename(file.parent.with_name("seed6"))
    result(runs, "CoOp", "tiny_all", 5, [0])
    return r"seed5.* and .*seed6.* are of one seed, 5"


def two_places(runs: Path) -> str:
    result(runs / "again", "CoOp", "tiny_all", 1, [0])
    return r"CoOp/tiny_all and .*again/CoOp/tiny_all are both CoOp tiny, all"


def two_references(runs: Path) -> str:
    result(runs, "MPAFER", "tiny_text_all", 1, [0])
    return r"several rows are MPAFER: 'MPAFER tiny', 'MPAFER tiny_text'; choose by --reference, or by --cfg"


def nothing(runs: Path) -> str:
    for file in runs.rglob("results.json"):
        file.unlink()
    return "no results.json under"


@pytest.mark.parametrize(
    "spoil",
    [broken, without_predictions, other_data, other_config, other_images, other_labels, one_seed_twice, two_places,
     two_references, nothing],
)  # fmt: skip
def test_one_message_names_what_cannot_be_compared(runs: Path, tmp_path: Path, spoil: Callable[[Path], str]) -> None:
    message = spoil(runs)
    with pytest.raises(SystemExit, match=f"^error: .*{message}"):
        main([str(runs), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_what_is_asked_for_has_to_exist(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no results of config vit_b16 under .*; there are: tiny"):
        main([str(runs), "--out", str(tmp_path), "--cfg", "vit_b16"])
    for file in (runs / "ZeroshotCLIP").rglob("results.json"):
        file.unlink()
    with pytest.raises(SystemExit, match=r"no results of these shots under .*; there are: 4shots, all"):
        main([str(runs), "--out", str(tmp_path), "--shots", "2"])


def test_without_the_reference_there_are_tables_and_a_warning(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(runs), "--out", str(tmp_path / "out"), "--reference", "MaPLe", "--shots", "-1"])
    text = (tmp_path / "out/comparison.md").read_text()
    assert "Warning: all: no result of the reference MaPLe, hence no differences." in text
    assert "60.00" in text and "ΔWAR" not in text and "MaPLe, hence" in capsys.readouterr().err


# --- real runs


def test_real_runs_see_the_same_few_images_and_make_a_comparison(tmp_path: Path, cfg: Any) -> None:
    """The real train.py on a miniature RAF-DB; every method at one seed trains on the same images."""
    world, out = make_world(tmp_path), tmp_path / "out"
    options = SMALL | {"MODEL.BACKBONE.NAME": f"{world}/clip.safetensors", "OPTIM.MAX_EPOCH": "1"}
    variables = {"DATA": f"{world}/data", "OUT": str(out), "SEEDS": "1", "CFG": "tiny", "PYTHON": sys.executable}
    variables |= environment(world) | {"METHODS": "MPAFER CoOp ZeroshotCLIP"}
    done = subprocess.run(
        ["bash", "scripts/compare.sh", "rafdb", "2", *(word for pair in options.items() for word in pair)],
        cwd=REPO, env=variables, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(next((out / "rafdb").glob("comparison_tiny*/comparison.json")).read_text())
    ours, coop, zero = record["tables"][0]["rows"]
    assert [row["trainer"] for row in (ours, coop, zero)] == ["MPAFER", "CoOp", "ZeroshotCLIP"]
    assert ours["peak_memory_of"] == "process" and ours["peak_memory_bytes"] > 2**27 and 0 < zero["p"] <= 1
    assert ours["learnable_values"] > coop["learnable_values"] > zero["learnable_values"] == 0

    (first,), (second,) = ((out / "rafdb" / method).iterdir() for method in ("MPAFER", "CoOp"))
    images = results(first / "seed1")["fewshot_images"]
    assert len(images) == 14 and results(second / "seed1")["fewshot_images"] == images
    cfg.DATASET.ROOT, cfg.DATASET.NUM_SHOTS = f"{world}/data", 2
    drawn = {}
    for cfg.SEED in (1, 2):
        drawn[cfg.SEED] = [os.path.relpath(item.impath, cfg.DATASET.ROOT) for item in RAFDB(cfg).train_x]
    assert drawn[1] == images != drawn[2], "the control: another seed, other images"
