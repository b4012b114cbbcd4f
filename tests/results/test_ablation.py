"""Ablations: their declarations, the runs planned from them, the tables made from results, and the script."""

from __future__ import annotations

import csv
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file
from support.commands import invoke
from support.models import CLASSES, random_clip
from support.results import write_run
from support.runs import REPO, SMALL, environment, make_world

import mpafer
from mpafer.ablation import main
from mpafer.clip import Clip
from mpafer.results.ablation import ablate
from mpafer.results.plans import note_plan, read_plans
from mpafer.results.variants import FOLDER, doubling, load_ablation
from mpafer.runs.ablation_plan import make_config, plan
from mpafer.trainers.mpafer import MPAFEROptions

NAMES = ["surprise", "fear", "anger"]
IMAGES = [f"data/test_{i:04d}.jpg" for i in range(300)]
LABELS = np.arange(300) % 3


def finish(runs: Path, folder: str, pairs: Sequence[str], wrong: Any, seed: int = 1, **other: Any) -> Path:
    """A finished run of MPA-FER whose command line had these pairs; wrong at these of 300 images."""
    named = LABELS.copy()
    named[np.asarray(wrong, dtype=int)] += 1
    config = make_config(other.pop("config", "sketchfer"), "tiny", pairs)
    config.SEED, config.TRAINER.NAME = seed, "MPAFER"
    settings: dict[str, Any] = {
        "dataset": config.DATASET.NAME, "split": config.TEST.SPLIT, "images": IMAGES, "labels": LABELS,
        "classnames": NAMES, "learnable_values": 640, "scores": 5.0 * np.eye(3)[named % 3],
        "config": yaml.safe_load(config.dump()),
    }  # fmt: skip
    write_run(runs / "MPAFER" / folder / f"seed{seed}", trainer="MPAFER", seed=seed, **settings | other)
    return runs / "MPAFER" / folder


def finish_all(runs: Path, name: str, pairs: Sequence[str] = (), seeds: Sequence[int] = (1, 2), **other: Any) -> None:
    """Every variant of an ablation that is not finished; the i-th errs 10 i + seed times."""
    planned = plan(name, other.get("config", "sketchfer"), "tiny", pairs)
    folders = {
        label: "tiny_all" + "".join(f"_{word.rpartition('.')[2]}" for word in words) for label, words in planned.items()
    }
    for number, (label, words) in enumerate(planned.items()):
        for seed in seeds:
            if not (runs / "MPAFER" / folders[label] / f"seed{seed}").exists():
                finish(runs, folders[label], words, range(10 * number + seed), seed, **other)
    stem = "tiny_all" + "".join(f"_{word.rpartition('.')[2]}" for word in pairs)
    note_plan(name, stem, {label: runs / "MPAFER" / folder for label, folder in folders.items()})


# --- declarations


@pytest.fixture(scope="module")
def tiny() -> Clip:
    return mpafer.load_clip("tiny")


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_every_declaration_has_true_options_and_labels(name: str, tiny: Clip) -> None:
    ablation = load_ablation(name)
    defaults = MPAFEROptions().node()
    for options in ablation.variants.values():
        MPAFEROptions.of(options)
        lower = {key.lower(): value for key, value in options.items()}
        model = mpafer.build_model("MPAFER", tiny, CLASSES, **lower, prototypes=torch.ones(7, tiny.embed_dim))
        losses = model.losses(model(torch.zeros(2, 3, 96, 96)), torch.tensor([0, 1]))
        assert all(loss.isfinite() for loss in losses.values())
        assert options.keys() == set(ablation.varied) <= defaults.keys()
    assert ablation.variants[ablation.reference].items() <= defaults.items(), "the reference is our default"
    told_apart = [tuple(options.values()) for options in ablation.variants.values()]
    assert len(set(told_apart)) == len(told_apart)
    known = yaml.safe_load((REPO / "mpafer/results/published.yaml").read_text())["rows"]
    assert ablation.published.keys() <= known.keys()
    for block in ablation.published.values():
        assert block["source"] and block["rows"].keys() <= ablation.variants.keys()


def test_the_ablations_and_what_was_published_of_them() -> None:
    names = {path.stem for path in FOLDER.glob("*.yaml")}
    assert names == {"alignment", "k", "hard_prompt", "components", "prototypes", "losses", "open"}
    assert list(load_ablation("alignment").published["AffectNet7"]["rows"].values()) == [66.58, 66.97, 67.85]
    chain = load_ablation("components")
    rows = chain.published["RAFDB"]["rows"]
    assert list(rows) == list(chain.variants) and list(rows.values()) == [86.15, 88.47, 89.42, 91.18, 92.51]
    assert np.diff(list(rows.values())) == pytest.approx([2.32, 0.95, 1.76, 1.33])
    steps = list(chain.variants.values())
    changed = [{key for key in a if a[key] != b[key]} for a, b in itertools.pairwise(steps)]
    assert changed == [{"N_VISUAL"}, {"PROTOTYPE_LOSS"}, {"TOKEN_LOSS", "PROMPT_LOSS"}, {"ALIGNMENT"}]
    opened = load_ablation("open").variants
    default = opened.pop("default")
    assert all(sum(options[key] != default[key] for key in default) == 1 for options in opened.values())
    assert [options["TAU"] for options in opened.values() if options["TAU"] != 0.07] == [0.03, 0.2, 1]


GOOD = {"title": "t", "reference": "a", "variants": {"a": {"TAU": 0.07}, "b": {"TAU": 0.2}}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variants": {"a": {"TOPK": 2}}}, "mine, variant 'a': .* no option 'topk': did you mean top_k"),
        ({"variants": {"a": {"TAU": 0}}}, r"mine, variant 'a': TAU is 0; it must be at least 0\.001"),
        (
            {"variants": {"a": {"TAU": 1}, "b": {"BETA": 1}}},
            r"mine\.yaml: variant 'b' has BETA, the reference does not",
        ),
        ({"reference": "c"}, r"mine\.yaml: no variant 'c', the reference: known: a, b"),
        ({"varients": {}}, r"mine\.yaml: an ablation has no key 'varients': did you mean variants"),
        ({"doubling": {"k": "TOP_K"}}, r"mine\.yaml: .*'doubling' the one variant is the reference"),
    ],
)
def test_one_message_names_what_is_wrong_in_a_declaration(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(GOOD | change))
    with pytest.raises(SystemExit, match=f"^error: .*{message}"):
        invoke("ablate", str(file), "rafdb", "tiny", "--plan")
    file.write_text(yaml.safe_dump(GOOD))
    assert list(plan(str(file), "rafdb", "tiny")) == ["a", "b"], "the control"


# --- plans


def test_doubling() -> None:
    assert doubling(196) == [1, 2, 4, 8, 16, 32, 64, 128, 196]
    assert doubling(16) == [1, 2, 4, 8, 16] and doubling(36)[-2:] == [32, 36] and doubling(1) == [1]


def test_a_plan_says_what_is_not_the_configs_anyway() -> None:
    assert plan("alignment", "rafdb", "vit_b16", ["OPTIM.MAX_EPOCH", "2"]) == {
        "global": ["TRAINER.MPAFER.ALIGNMENT", "global", "OPTIM.MAX_EPOCH", "2"],
        "sparse local": ["TRAINER.MPAFER.ALIGNMENT", "local", "OPTIM.MAX_EPOCH", "2"],
        "global-local": ["OPTIM.MAX_EPOCH", "2"],
    }
    chain = plan("components", "rafdb", "vit_b16")
    assert chain["+ soft-hard alignment"] == ["TRAINER.MPAFER.ALIGNMENT", "global"]
    assert chain["+ global-local alignment"] == [] and "TRAINER.MPAFER.N_VISUAL" in chain["text prompts"]


def test_k_goes_up_to_the_patches_of_the_backbone(tmp_path: Path) -> None:
    found = plan("k", "sketchfer", "tiny")
    assert list(found) == [f"k = {k}" for k in (1, 2, 4, 8, 16, 32, 36)]
    assert found["k = 16"] == [] and found["k = 36"] == ["TRAINER.MPAFER.TOP_K", "36"]
    pairs = ["MODEL.BACKBONE.NAME", small_clip(tmp_path)]
    assert list(plan("k", "sketchfer", "tiny", pairs)) == ["k = 1", "k = 2", "k = 4"]
    assert len(plan("alignment", "sketchfer", "tiny", [*pairs, "TRAINER.MPAFER.TOP_K", "4"])) == 3
    with pytest.raises(ValueError, match=r"variant 'sparse local': TOP_K is 5, but .* has 4 patches; the closest is 4"):
        plan("alignment", "sketchfer", "tiny", [*pairs, "TRAINER.MPAFER.TOP_K", "5"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["alingment", "rafdb", "vit_b16"], "no ablation 'alingment': did you mean alignment"),
        (["alignment", "rafdb", "vit_b17"], "unknown config 'vit_b17' of MPAFER: did you mean vit_b16"),
        (["alignment", "rafdb", "tiny", "OPTIM.MAXEPOCH", "2"], "OPTIM.MAXEPOCH: did you mean OPTIM.MAX_EPOCH"),
        (["k", "rafdb", "tiny", "TRAINER.MPAFER.TOP_K", "2"], r"MPAFER\.TOP_K is what the ablation k varies"),
    ],
)
def test_one_message_names_what_cannot_be_planned(arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=f"^error: .*{message}"):
        invoke("ablate", *arguments[:3], "-1", *arguments[3:], "--plan")


# --- tables


def test_a_table_has_the_variants_in_order_against_the_reference(tmp_path: Path, capsys: Any) -> None:
    runs, out = tmp_path / "runs", tmp_path / "out"
    finish_all(runs, "alignment", config="rafdb")
    finish_all(runs, "losses", config="rafdb")  # one more of each: other runs of the same config
    main(["alignment", str(runs), "--out", str(out)])
    printed = capsys.readouterr().out
    assert re.search(
        r"\nglobal +2 +99\.50 ± 0\.24.*\nsparse local +2 +96\.17.*\nglobal-local +2 +92\.83.* - +-", printed
    )

    data = json.loads((out / "ablation.json").read_text())
    rows = data["tables"][0]["rows"]
    assert [row["variant"] for row in rows] == ["global", "sparse local", "global-local"] and "method" not in rows[0]
    assert [row["ALIGNMENT"] for row in rows] == ["global", "local", "global_local"]
    assert [row["difference"] for row in rows] == [pytest.approx(20 / 3), pytest.approx(10 / 3), None]
    assert rows[0]["p"] < 0.001 and rows[0]["difference_low"] < 20 / 3 < rows[0]["difference_high"]
    assert data["reference"] == "global-local" and data["warnings"] == []
    text = (out / "ablation.md").read_text()
    assert "# What is compared with a class, RAFDB" in text and "ΔWAR to global-local" in text
    assert "the variant's accuracy" in text and "method" not in text
    measured, published = text.split("## Published, not measured here")
    assert "91.64" in published and "Table 2" in published and "91.64" not in measured
    assert "Table 2" in (out / "ablation.html").read_text() and "91.64" not in (out / "ablation.csv").read_text()

    first = {path: path.read_bytes() for path in out.iterdir()}
    main(["alignment", str(runs), "--out", str(out)])
    assert {path: path.read_bytes() for path in out.iterdir()} == first and len(first) == 5


def test_k_makes_a_curve(tmp_path: Path, capsys: Any) -> None:
    runs, out = tmp_path / "runs", tmp_path / "out"
    finish_all(runs, "k")
    (runs / "MPAFER/tiny_all_TOP_K_8/seed1/results.json").unlink()
    (runs / "MPAFER/tiny_all_TOP_K_8/seed2/results.json").unlink()
    main(["k", str(runs), "--out", str(out), "--stem", "tiny_all"])
    assert "k: no result of 'k = 8'" in capsys.readouterr().err
    with open(out / "tiny_all_curve.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["k"] for row in rows] == ["1", "2", "4", "16", "32", "36"] and rows[0]["n"] == "2"
    assert float(rows[3]["accuracy"]) == pytest.approx(100 - 41.5 / 3)
    assert float(rows[3]["accuracy_sd"]) == pytest.approx(np.sqrt(2) / 6)
    assert (out / "tiny_all_curve.png").read_bytes().startswith(b"\x89PNG")
    text = (out / "tiny_all.md").read_text()
    assert "tiny_all_curve.png" in text and "ΔWAR to k = 16" in text and "Published" not in text
    assert "say nothing about photographs" in text


def test_gains_are_printed_as_such(tmp_path: Path) -> None:
    run = finish(tmp_path / "runs", "tiny_all", [], [0], dataset="AffectNet7")
    note_plan("components", "tiny_all", {"+ global-local alignment": run})
    main(["components", str(tmp_path / "runs"), "--out", str(tmp_path / "out")])
    text = (tmp_path / "out/ablation.md").read_text()
    assert "gain in accuracy, points" in text and "+1.63" in text and "86.15" not in text


def test_a_validation_set_is_each_seeds_own(tmp_path: Path) -> None:
    pairs, pool, folders = ["TEST.SPLIT", "val"], np.arange(300), {}
    for seed in (1, 2):
        drawn = np.random.default_rng(seed).permutation(pool)[:200]
        images, labels = [IMAGES[i] for i in drawn], LABELS[drawn]
        for words, wrong in ((["TRAINER.MPAFER.ALIGNMENT", "global"], range(40)), ([], range(10))):
            named = (labels + np.isin(drawn, wrong)) % 3
            folders["global" if words else "global-local"] = finish(
                tmp_path, f"tiny_all{len(words)}", [*words, *pairs], [], seed,
                images=images, labels=labels, scores=np.eye(3)[named],
            )  # fmt: skip
    note_plan("alignment", "tiny_all", folders)
    comparison = ablate("alignment", [tmp_path])
    ours = comparison.blocks[0].rows[0]
    assert comparison.split == "val" and ours["paired_seeds"] == [1, 2]
    assert ours["difference"] == pytest.approx(ours["accuracy"] - comparison.blocks[0].rows[1]["accuracy"])
    assert ours["difference_low"] < ours["difference"] < ours["difference_high"] < 0
    main(["alignment", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "200 validation images a seed" in (tmp_path / "out/ablation.md").read_text()
    for file in tmp_path.rglob("results.json"):  # the control: a test set is one
        file.write_text(file.read_text().replace('"split": "val"', '"split": "test"'))
    with pytest.raises(ValueError, match="tested on different images"):
        ablate("alignment", [tmp_path])


def test_one_message_names_which_runs_are_meant(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no results\.json under"):
        ablate("alignment", [tmp_path])
    more = ["OPTIM.MAX_EPOCH", "2"]
    finish_all(tmp_path, "alignment")
    finish_all(tmp_path, "alignment", more)
    several = r"several plans .*: tiny_all, tiny_all_MAX_EPOCH_2; .*KEY VALUE pairs \(OPTIM\.MAX_EPOCH 16 or 2\)"
    with pytest.raises(ValueError, match=several):
        ablate("alignment", [tmp_path])
    chosen = ablate("alignment", [tmp_path], where=more)
    assert all("MAX_EPOCH" in entry.folder.name for entry in chosen.blocks[0].experiments)
    with pytest.raises(ValueError, match=r"no config key OPTIM\.EPOCHS"):
        ablate("alignment", [tmp_path], where=["OPTIM.EPOCHS", "2"])
    with pytest.raises(FileNotFoundError, match=r"no runs of a plan of ablation alignment .*: start .* again"):
        ablate("alignment", [tmp_path], where=["OPTIM.MAX_EPOCH", "5"])
    again = finish(tmp_path, "again", [], [0])
    assert ablate("alignment", [tmp_path], where=["OPTIM.MAX_EPOCH", "16"]).warnings == [], (
        "without a plan it is no part"
    )
    note_plan("alignment", "tiny_all", {"global-local": again})
    with pytest.raises(ValueError, match=r"again and .*tiny_all are both the variant 'global-local'"):
        ablate("alignment", [tmp_path], where=["OPTIM.MAX_EPOCH", "16"])


def test_a_run_may_be_part_of_several_plans_and_is_never_taken_for_another_variant(tmp_path: Path) -> None:
    finish_all(tmp_path, "alignment")
    finish_all(tmp_path, "losses")
    plain = tmp_path / "MPAFER/tiny_all"
    assert read_plans(plain) == {
        "alignment": {"tiny_all": "global-local"},
        "losses": {"tiny_all": "prompts contrastive, prototypes cosine"},
    }
    assert len(ablate("losses", [tmp_path]).blocks[0].rows) == len(load_ablation("losses").variants)
    note_plan("alignment", "tiny_all", {"sparse local": plain})
    with pytest.raises(
        ValueError, match=r"tiny_all is noted as variant 'sparse local' .* run with {'ALIGNMENT': 'global_local'}"
    ):
        ablate("alignment", [tmp_path])
    note_plan("alignment", "tiny_all", {"dense": plain})
    with pytest.raises(ValueError, match="the ablation has no such variant"):
        ablate("alignment", [tmp_path])
    (plain / "plans.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"plans\.json is damaged .*: remove it and start the ablation again"):
        ablate("alignment", [tmp_path])


def test_one_ablation_of_two_data_sets_is_two_plans(tmp_path: Path) -> None:
    for dataset in ("sketchfer", "rafdb"):
        run = finish(tmp_path / dataset, "tiny_all", [], [0], config=dataset)
        note_plan("alignment", f"{dataset}/tiny_all", {"global-local": run})
    several = r"several plans .*: rafdb/tiny_all, sketchfer/tiny_all; .*\(.*DATASET\.NAME 'RAFDB' or 'SketchFER'"
    with pytest.raises(ValueError, match=several):
        ablate("alignment", [tmp_path])
    assert ablate("alignment", [tmp_path], where=["DATASET.NAME", "RAFDB"]).dataset == "RAFDB"


def test_without_the_reference_there_is_a_table_and_a_warning(tmp_path: Path) -> None:
    run = finish(tmp_path, "tiny_all_local", ["TRAINER.MPAFER.ALIGNMENT", "local"], [0])
    note_plan("alignment", "tiny_all", {"sparse local": run})
    comparison = ablate("alignment", [tmp_path])
    assert [row["method"] for row in comparison.blocks[0].rows] == ["sparse local"]
    assert comparison.warnings[:2] == [f"alignment: no result of '{name}'" for name in ("global", "global-local")]
    assert "no result of the reference 'global-local'" in comparison.warnings[2]


def test_runs_older_than_an_option_have_its_default(tmp_path: Path) -> None:
    labels = {"default": [], "a context for each class": ["TRAINER.MPAFER.CSC", "True"]}
    for number, (label, pairs) in enumerate(labels.items()):
        run = finish(tmp_path, f"tiny_all{number}", pairs, [0])
        record = json.loads((run / "seed1/results.json").read_text())
        del record["config"]["TRAINER"]["MPAFER"]["TAU"]
        (run / "seed1/results.json").write_text(json.dumps(record))
        note_plan("open", "tiny_all", {label: run})
    note_plan("open", "tiny_all", {"temperature 1": finish(tmp_path, "tiny_TAU", ["TRAINER.MPAFER.TAU", "1"], [0])})
    found = [row["method"] for row in ablate("open", [tmp_path]).blocks[0].rows]
    assert found == [*labels, "temperature 1"]


# --- real runs


def small_clip(folder: Path) -> str:
    """A random CLIP of four patches."""
    state = random_clip(patch=16).openai_state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "small.safetensors")
    return f"{folder}/small.safetensors"


def script(*arguments: str, cwd: Path = REPO, **variables: str) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", str(REPO / "scripts/mpafer/ablation.sh"), *arguments],
        cwd=cwd, env=environment(cwd) | {"SEEDS": "1", "PYTHON": sys.executable} | variables,
        capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_real_runs_make_a_table(tmp_path: Path) -> None:
    """The real train.py on a miniature RAF-DB: three alignments on validation images."""
    world, out = make_world(tmp_path), tmp_path / "out"
    options = {"TRAINER.MPAFER.TOP_K": "4"} | SMALL | {"OPTIM.MAX_EPOCH": "1", "DATASET.VAL_FRACTION": "0.25"}
    options |= {"MODEL.BACKBONE.NAME": small_clip(world)}
    words = [word for pair in options.items() for word in pair]
    chosen = {"DATA": f"{world}/data", "OUT": str(out), "JOBS": "2", "SPLIT": "val"}
    status, printed = script("alignment", "rafdb", "tiny", "2", *words, cwd=world, **chosen)
    assert status == 0 and printed.count("done in") == 3, printed
    assert re.search(r"\[2/3\] sparse local seed1 started", printed)
    (table,) = (out / "rafdb/ablation_alignment").glob("*.json")
    found = json.loads(table.read_text())
    assert [row["variant"] for row in found["tables"][0]["rows"]] == ["global", "sparse local", "global-local"]
    assert found["split"] == "val" and found["test_images"] == 14
    assert (out / "rafdb/MPAFER" / table.stem / "seed1/results.json").is_file(), "the default variant is the plain run"
    assert "91.64" in table.with_suffix(".md").read_text().split("## Published")[1]
