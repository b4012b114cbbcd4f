"""Whether two runs are the same but for the seed: asked before a run is skipped, resumed, averaged, evaluated."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from support.commands import invoke
from support.runs import SMALL, environment, interrupt, make_trainer, make_world, results, train_in_process

from mpafer.common.config import leaves
from mpafer.common.defaults import default_config
from mpafer.common.errors import CheckpointError
from mpafer.common.identity import FREE, LATER, differences, made_of_differences
from mpafer.datasets import DATASETS
from mpafer.results.experiments import find_results
from mpafer.run_config import add_options, methods

FAST = SMALL | {"OPTIM.MAX_EPOCH": "1"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world with one finished run of CoOp, as `mpafer run CoOp rafdb tiny -1 ...` asks for it."""
    world = make_world(tmp_path_factory.mktemp("identity"), train=2)
    run(world)
    return world


@pytest.fixture
def world(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change; times of change are other ones, contents are not."""
    shutil.copytree(made, tmp_path / "world")
    return tmp_path / "world"


def words(world: Path, **more: str) -> list[str]:
    options = FAST | {"MODEL.BACKBONE.NAME": f"{world}/clip.safetensors"} | more
    return [word for pair in options.items() for word in pair]


def run(world: Path, *flags: str, tag: str = "x", seeds: str = "1", **more: str) -> str:
    """The folder's name is kept by its tag: what the options say is in `words`."""
    own = environment(world) | {"DATA": f"{world}/data", "OUT": f"{world}/out", "SEEDS": seeds, "TAG": tag, "JOBS": "2"}
    return invoke("run", "CoOp", "rafdb", "tiny", "-1", *flags, *words(world, **more), **own)


def folder(world: Path) -> Path:
    """Of the run. Its name has a checksum of the weights' path, which a copy of the world changes."""
    (found,) = (path for path in (world / "out/rafdb/CoOp").glob("*/seed1"))
    return found


@pytest.fixture
def again(world: Path) -> Iterator[Callable[..., str]]:
    """Start the same run once more in the copied world, whose folder is renamed to what its options say."""
    from mpafer.runs.catalog import shipped
    from mpafer.runs.plan import Job, Place
    from mpafer.runs.words import read_options

    assert "rafdb" in shipped("datasets")

    def start(*flags: str, **more: str) -> str:
        place = Place(f"{world}/data", f"{world}/out", "x")
        job = Job("CoOp", "rafdb", "tiny", -1, 1, read_options(words(world, **more)), place)
        if not job.group.exists():
            folder(world).parent.rename(job.group)
        return run(world, *flags, **more)

    yield start


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_the_same_run_is_skipped(world: Path, again: Callable[..., str]) -> None:
    assert "seed1 finished already, skipped" in again()
    made_of = results(folder(world))["made_of"]
    assert made_of.keys() == {"backbone", "train", "train_contents", "test", "test_contents"}
    assert made_of["train"].startswith("14 images ") and made_of["test"].startswith("28 images ")


def test_another_run_under_its_name_is_not_taken_for_it(world: Path, again: Callable[..., str]) -> None:
    edit(folder(world) / "results.json", lambda content: content["config"]["OPTIM"].update(LR=0.5))
    with pytest.raises(SystemExit) as refused:
        again()
    assert "holds another run (OPTIM.LR 0.5 there, 0.032 here): --force moves it aside" in str(refused.value)
    before = (folder(world) / "results.json").read_bytes()
    printed = again("--force")
    assert "done in" in printed and results(folder(world))["config"]["OPTIM"]["LR"] == 0.032
    assert (folder(world) / "replaced/1/results.json").read_bytes() == before, "nothing is lost"
    assert len(find_results([world / "out"])) == 1, "and what was replaced is in no table"
    assert "finished already, skipped" in again("--force"), "the same run is not made again"


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "contents": (lambda data: paint(data, "train"), "training images and labels"),
    "a test image": (lambda data: paint(data, "test"), "test images and labels"),
    "labels": (lambda data: swap_labels(data), "training images and labels"),
    "one less": (lambda data: drop(data), "training images and labels '14 images .*' there, '13 images .*' here"),
}


def lists(data: Path) -> Path:
    (found,) = data.rglob("list_patition_label.txt")
    return found


def paint(data: Path, split: str) -> None:
    Image.new("RGB", (100, 100), "red").save(min(data.rglob(f"{split}_*.jpg")))


def swap_labels(data: Path) -> None:
    rows = [line.split() for line in lists(data).read_text().splitlines()]
    changed = [(name, str(int(label) % 7 + 1) if name.startswith("train") else label) for name, label in rows]
    lists(data).write_text("".join(f"{name} {label}\n" for name, label in changed))


def drop(data: Path) -> None:
    rows = lists(data).read_text().splitlines(keepends=True)
    gone = next(row for row in rows if row.startswith("train"))
    lists(data).write_text("".join(row for row in rows if row != gone))


@pytest.mark.parametrize("name", CHANGES)
def test_other_data_make_another_run(world: Path, again: Callable[..., str], name: str) -> None:
    change, message = CHANGES[name]
    change(world / "data")
    with pytest.raises(SystemExit, match=rf"holds another run \({message}"):
        again()


def test_the_images_are_looked_at_once_for_all_runs_of_a_plan(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mpafer.runs import finished
    from mpafer.runs.train import parse_args, setup_cfg

    seen: list[str] = []
    monkeypatch.setattr(finished, "of_images", lambda cfg, dataset: seen.append(cfg.DATASET.ROOT) or {})
    for method in ("CoOp", "MPAFER"):
        for rate in ("0.1", "0.2"):
            arguments = [
                "--root",
                f"{world}/data",
                "--trainer",
                method,
                "--dataset-config-file",
                "rafdb",
                "OPTIM.LR",
                rate,
            ]
            finished._made_of(setup_cfg(parse_args(arguments)))
    assert seen == [f"{world}/data"]


def test_where_the_data_are_gone_the_result_is_taken_and_it_is_said(world: Path, again: Callable[..., str]) -> None:
    shutil.rmtree(world / "data")
    printed = again()
    assert "finished already, skipped" in printed and "its data are not there to compare with" in printed


@pytest.mark.parametrize("changed", ["labels", "descriptions", "options", "seed"])
def test_a_run_is_not_resumed_as_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    world = make_world(tmp_path, train=2)
    monkeypatch.setenv("MPAFER_CACHE", str(world / "cache"))
    texts = world / "texts.yaml"
    texts.write_text((Path(__file__).parent.parent.parent / "mpafer/prompting/descriptions.yaml").read_text())
    options: dict[str, Any] = {"DATASET.DESCRIPTIONS": texts}
    interrupt(make_trainer(world, tmp_path / "out", "MPAFER", **options), 1)
    messages = {
        "labels": "training images and labels '14 images",
        "descriptions": "description texts '7 texts",
        "options": "OPTIM.LR 0.032 there, 0.1 here",
        "seed": "SEED 1 there, 2 here",
    }
    if changed == "labels":
        swap_labels(world / "data")
    if changed == "descriptions":
        written = yaml.safe_load(texts.read_text())
        texts.write_text(yaml.safe_dump(written | {"anger": written["fear"], "fear": written["anger"]}))
    options |= {"OPTIM.LR": 0.1} if changed == "options" else {}
    with pytest.raises(CheckpointError, match=messages[changed]):
        make_trainer(world, tmp_path / "out", "MPAFER", seed=2 if changed == "seed" else 1, **options).train()


def test_an_evaluation_loses_no_run_and_changes_no_option_in_silence(made: Path, tmp_path: Path) -> None:
    own = tmp_path / "run"
    train_in_process(made, own, **{"OPTIM.MAX_EPOCH": 1})
    before = (own / "results.json").read_bytes()
    flags = ["--eval-only", "--model-dir", str(own)]
    with pytest.raises(SystemExit, match="holds a run, whose results would be lost: name another --output-dir"):
        train_in_process(made, own, flags=flags)
    assert (own / "results.json").read_bytes() == before
    other = {"TRAINER.MPAFER.TOP_K": 2, "flags": flags}
    with pytest.raises(SystemExit, match=r"would answer otherwise, .*TRAINER\.MPAFER\.TOP_K 16 there, 2 here"):
        train_in_process(made, tmp_path / "other", **other)
    train_in_process(made, tmp_path / "other", **{**other, "flags": [*flags, "--force"]})
    train_in_process(made, tmp_path / "same", flags=flags)
    assert results(tmp_path / "same")["metrics"] == results(own)["metrics"]
    with pytest.raises(SystemExit, match=r"INPUT\.PIXEL_MEAN"):
        train_in_process(made, tmp_path / "mean", flags=flags, **{"INPUT.PIXEL_MEAN": "[0.5, 0.5, 0.5]"})


def test_no_run_overwrites_the_results_of_one_that_learns_nothing(made: Path, tmp_path: Path) -> None:
    out, trained = tmp_path / "out", tmp_path / "trained"
    train_in_process(made, out, trainer="ZeroshotCLIP")
    train_in_process(made, trained, **{"OPTIM.MAX_EPOCH": 1})
    before = (out / "results.json").read_bytes()
    flags = ["--eval-only", "--model-dir", str(trained)]
    for more in ({"flags": flags}, {"OPTIM.MAX_EPOCH": 1}):
        with pytest.raises(SystemExit, match=r"another run's results \(of ZeroshotCLIP\): name another --output"):
            train_in_process(made, out, **more)
    train_in_process(made, out, trainer="ZeroshotCLIP")
    with pytest.raises(SystemExit, match=r"holds another run's results \(.*TEST\.BATCH_SIZE"):
        train_in_process(made, out, trainer="ZeroshotCLIP", **{"DATALOADER.TEST.BATCH_SIZE": 3})
    kept = (out / "results.json").read_bytes()
    train_in_process(made, out, flags=[*flags, "--force"])
    assert results(out)["metrics"] == results(trained)["metrics"]
    assert (out / "replaced/1/results.json").read_bytes() == kept
    assert json.loads(before)["metrics"] == json.loads(kept)["metrics"]


def test_no_evaluation_overwrites_that_of_other_weights(made: Path, tmp_path: Path) -> None:
    out, runs = tmp_path / "out", [tmp_path / "a", tmp_path / "b"]
    for seed, run in enumerate(runs, start=1):
        train_in_process(made, run, seed=seed, **{"OPTIM.MAX_EPOCH": 1})
    a, b = (["--eval-only", "--model-dir", str(run)] for run in runs)
    train_in_process(made, out, flags=a)
    kept = (out / "results.json").read_bytes()
    train_in_process(made, out, flags=a)  # the same again
    with pytest.raises(SystemExit, match=r"holds another run's results .*learned weights"):
        train_in_process(made, out, flags=b)
    train_in_process(made, out, flags=[*b, "--force"])
    assert results(out)["predictions"] == results(runs[1])["predictions"]
    assert json.loads((out / "replaced/1/results.json").read_bytes())["predictions"] == json.loads(kept)["predictions"]


@pytest.mark.parametrize(("damage", "what"), [(100, "Expecting|Unterminated|Invalid"), (None, "3 of 28 are there")])
def test_damaged_results_stop_no_other_run(
    world: Path, again: Callable[..., str], damage: int | None, what: str
) -> None:
    file = folder(world) / "results.json"
    if damage:
        file.write_bytes(file.read_bytes()[:damage])
    else:
        edit(file, lambda content: content.update(predictions=content["predictions"][:3]))
    with pytest.raises(SystemExit, match=rf"(?s)REFUSED.*({what}).*get it anew, or delete it and start the run again"):
        again()
    assert "done in" in again("--force") and len(results(folder(world))["predictions"]) == 28


def test_a_report_averages_no_unlike_runs(world: Path) -> None:
    one = folder(world)
    two = one.with_name("seed2")
    shutil.copytree(one, two)
    with pytest.raises(SystemExit, match="are of one seed, 1: they cannot be one row"):
        invoke("report", str(one.parent))
    edit(two / "results.json", lambda content: content.update(seed=2))
    assert " 2 " in invoke("report", str(one.parent))
    edit(two / "results.json", lambda content: content.update(split="val"))
    with pytest.raises(SystemExit, match=r"seeds of one row differ: .*TEST\.SPLIT 'test' there, 'val' here"):
        invoke("report", str(one.parent))
    edit(two / "results.json", lambda content: content.update(split="test"))
    edit(two / "results.json", lambda content: content["made_of"].update(train_contents="14 images 00"))
    with pytest.raises(SystemExit, match=r"seeds of one row differ: .*training images and labels '14 images"):
        invoke("report", str(one.parent))
    edit(two / "results.json", lambda content: content.update(made_of={}))  # an older file: nothing is known of it
    assert " 2 " in invoke("report", str(one.parent))


def test_a_comparison_is_of_one_copy_of_the_data(world: Path) -> None:
    one = folder(world)
    other = world / "out/rafdb/VPT" / one.parent.name / "seed1"
    shutil.copytree(one, other)
    edit(other / "results.json", lambda content: content.update(trainer="VPT"))
    assert "VPT" in invoke("compare", str(world / "out/rafdb"), "--reference", "CoOp")
    edit(other / "results.json", lambda content: content["made_of"].update(test_contents="28 images 00"))
    with pytest.raises(SystemExit, match=r"are of different images \(test images and labels '28 images"):
        invoke("compare", str(world / "out/rafdb"), "--reference", "CoOp")


def test_an_option_that_older_runs_lack_has_the_value_that_they_ran_with() -> None:
    older, plain, summed = (
        {"TRAINER": {"MPAFER": {"BETA": 1} | more}} for more in ({}, {"PROTOTYPE_SUM": False}, {"PROTOTYPE_SUM": True})
    )
    assert differences(older, plain) == differences(plain, older) == {}
    assert differences(older, summed) == {"TRAINER.MPAFER.PROTOTYPE_SUM": (False, True)}
    assert differences(summed, older) == {"TRAINER.MPAFER.PROTOTYPE_SUM": (True, False)}


def test_every_option_that_came_later_is_known_as_such() -> None:
    first = (Path(__file__).parent / "first_options.txt").read_text("utf-8").split()  # never to be added to
    config = default_config()
    add_options(config, methods().values(), DATASETS.values())
    assert {key for key, _ in leaves(config)} - {*first, *FREE} == LATER.keys()


def test_what_counts() -> None:
    a = {"OPTIM": {"LR": 0.1}, "SEED": 1, "OUTPUT_DIR": "a", "TRAINER": {"COOP": {"N_CTX": 4}, "VPT": {"PREC": "fp32"}}}
    b = {"OPTIM": {"LR": 0.1}, "SEED": 1, "OUTPUT_DIR": "b", "TRAINER": {"COOP": {"N_CTX": 4}, "VPT": {"PREC": "fp16"}}}
    assert differences(a, b, "COOP") == {} and differences(a, b) == {"TRAINER.VPT.PREC": ("fp32", "fp16")}
    assert made_of_differences({"train": "1"}, {"train": "2"}) == {"training images and labels": ("1", "2")}
    contents = {"train_contents": "c"}
    assert made_of_differences({"train": "1", **contents}, {"train": "2", **contents}) == {}, "renamed, but the same"
    assert made_of_differences({"train": "1", **contents}, {"train": "1", "test": "3"}) == {}
