"""train.py: what a run leaves behind, resuming, killing, refusing, several processes."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.commands import run_command
from support.models import random_clip
from support.runs import arguments, environment, make_world, prompts, results, run, scores, train_in_process
from support.toy import processes


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def undisturbed(world: Path) -> Path:
    """A finished run of a process of its own: seed 1, 3 epochs."""
    out = world / "undisturbed"
    finished = run(world, out)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return out


def test_a_run_leaves_log_results_scores_and_a_small_checkpoint(undisturbed: Path, world: Path) -> None:
    log = (undisturbed / "log.txt").read_text()
    assert "** Runner **\nmpafer" in log and "Finish training" in log and "* accuracy:" in log
    assert "epoch [3/3] batch [3/3] time" in log and "\r" not in log
    record = results(undisturbed)
    assert record["num_images"] == 28 == len(record["predictions"]) and record["epochs"] == 3
    assert record["predictions"][0]["image"].startswith("RAF-DB/basic/Image/aligned/test_")
    right = [row["label"] == row["pred"] for row in record["predictions"]]
    assert record["metrics"]["accuracy"] == pytest.approx(100 * sum(right) / 28)
    assert scores(undisturbed).shape == (28, 7)
    values = sum(tensor.numel() for tensor in prompts(undisturbed).values())
    assert record["learnable_values"] == values == 10 * 64 + 2 * 8 * 64
    (checkpoint,) = (undisturbed / "prompts").glob("model.pth.tar-*")
    assert record["checkpoint_bytes"] == checkpoint.stat().st_size < 60_000
    assert f"Checkpoint: {values:,} learnable values, {checkpoint.stat().st_size:,} bytes" in log
    assert 0 < record["images_per_second"] * record["train_seconds"] == pytest.approx(3 * 3 * 16)
    assert set(prompts(undisturbed)) == {"text.ctx", "visual.prompts"}
    assert list((undisturbed / "tensorboard").iterdir())
    assert record["config"]["TRAINER"]["MPAFER"]["N_CTX"] == 10 and record["engine"]["name"] == "mpafer"


def test_memory_is_the_most_that_the_process_had(undisturbed: Path, world: Path, tmp_path: Path) -> None:
    """Against the kernel's own account, which counts in kB what `resource` counts in another unit."""
    if not (status := Path("/proc/self/status")).is_file():
        pytest.skip("no /proc here")

    def most() -> int:
        return 1024 * int(re.findall(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.M)[0])

    before = most()
    train_in_process(world, tmp_path, flags=["--eval-only", "--model-dir", str(undisturbed)])
    record = results(tmp_path)
    assert record["peak_memory_of"] == "process" and before <= record["peak_memory_bytes"] < 1.5 * most()


def test_same_command_same_numbers_other_seed_other_numbers(undisturbed: Path, world: Path, tmp_path: Path) -> None:
    for name, seed in {"again": 1, "zero": 0, "zero again": 0}.items():
        train_in_process(world, tmp_path / name, seed=seed)
    assert np.array_equal(scores(tmp_path / "again"), scores(undisturbed))
    assert np.array_equal(scores(tmp_path / "zero"), scores(tmp_path / "zero again"))  # 0 is a seed
    assert not np.array_equal(scores(tmp_path / "zero"), scores(undisturbed))


def test_killed_at_any_moment_it_ends_as_if_nothing_had_happened(world: Path, tmp_path: Path) -> None:
    longer = {"OPTIM.MAX_EPOCH": 40}
    train_in_process(world, tmp_path / "whole", **longer)
    killed, moments = tmp_path / "killed", random.Random(7)
    log = killed / "log.txt"
    for attempt in range(4):
        process = processes().Process(target=train_in_process, args=(world, killed), kwargs=longer)
        process.start()
        marker = "Initialize tensorboard" if attempt else "Building transform_train"  # the first: before any checkpoint
        before = log.read_text().count(marker) if log.is_file() else 0
        while process.is_alive() and not (log.is_file() and log.read_text().count(marker) > before):
            time.sleep(0.01)
        while attempt == 3 and process.is_alive() and not list(killed.glob("prompts/model.pth.tar-*")):
            time.sleep(0.01)  # the last one dies after a checkpoint, however busy the machine is
        time.sleep(moments.uniform(0, 0.1))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    assert not (killed / "results.json").is_file()
    assert "Previous epoch: " in train_in_process(world, killed, **longer)
    assert np.array_equal(scores(killed), scores(tmp_path / "whole"))
    assert results(killed)["metrics"] == results(tmp_path / "whole")["metrics"]
    whole = prompts(tmp_path / "whole")
    assert all(torch.equal(tensor, whole[name]) for name, tensor in prompts(killed).items())


def test_two_ranks_give_the_one_rank_result(undisturbed: Path, world: Path) -> None:
    out = world / "ranks"
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *launch, *arguments(world, out)]
    finished = subprocess.run(command, env=environment(world), capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "processes: 2" in finished.stdout
    np.testing.assert_allclose(scores(out), scores(undisturbed), atol=1e-3)
    for name, tensor in prompts(undisturbed).items():
        torch.testing.assert_close(prompts(out)[name], tensor, atol=1e-4, rtol=1e-3)
    assert results(out)["num_images"] == 28
    train_in_process(world, world / "seed2", seed=2)
    with pytest.raises(AssertionError):  # control: the same comparison sees another order of the images
        np.testing.assert_allclose(scores(world / "seed2"), scores(undisturbed), atol=1e-3)


def refused(message: str, world: Path, out: Path, **options: object) -> None:
    """The run ends with one line that says so."""
    with pytest.raises(SystemExit, match=message) as ended:
        train_in_process(world, out, **options)
    assert str(ended.value).startswith("error: ")


def test_evaluation_loads_what_was_trained_and_refuses_the_rest(undisturbed: Path, world: Path, tmp_path: Path) -> None:
    load = ["--eval-only", "--model-dir", str(undisturbed)]
    train_in_process(world, tmp_path / "same", flags=load)
    assert np.array_equal(scores(tmp_path / "same"), scores(undisturbed))
    record, trained = results(tmp_path / "same"), results(undisturbed)
    assert record["epochs"] == 3 and record["checkpoint_bytes"] == trained["checkpoint_bytes"]
    for options, message in (
        ({"TRAINER.MPAFER.VISUAL_DEPTH": 1}, r"another shapes: .*\[2, 8, 64\].* there, .*\[1, 8, 64\].* in this run"),
        ({"TRAINER.MPAFER.N_CTX": 4}, r"\[10, 64\].* there, .*\[4, 64\]"),
    ):
        refused(message, world, tmp_path / "refused", flags=load, **options)
    none = ["--eval-only", "--model-dir", str(tmp_path), "--load-epoch", "3"]
    refused("no checkpoint at", world, tmp_path / "none", flags=none)


def test_a_run_goes_on_with_its_own_options_only(world: Path, undisturbed: Path, tmp_path: Path) -> None:
    other = {"TRAINER.MPAFER.TAU": 0.5, "OPTIM.LR": 0.5}
    both = r"(?=.*TRAINER.MPAFER.TAU 0.07 there, 0.5 here)(?=.*OPTIM.LR 0.032 there, 0.5 here)"
    refused(both, world, undisturbed, **other)
    out = tmp_path / "out"
    refused("there is no checkpoint in that folder", world, out, flags=["--resume", str(tmp_path)])
    refused("--model-dir", world, out, flags=["--eval-only"])
    foreign = tmp_path / "foreign" / "prompts"
    foreign.mkdir(parents=True)
    torch.save({"state_dict": {}, "epoch": 1}, foreign / "model-best.pth.tar")
    flags = ["--eval-only", "--model-dir", str(foreign.parent)]
    refused("a checkpoint of another program", world, out, flags=flags)


def test_an_unseeded_run_keeps_its_seed_when_it_is_resumed(world: Path, tmp_path: Path) -> None:
    options = {"seed": -1, "DATASET.NUM_SHOTS": 2, "OPTIM.MAX_EPOCH": 1}
    first, again, other = tmp_path / "first", tmp_path / "again", tmp_path / "other"
    for out in (first, other):
        train_in_process(world, out, **options)
    again.mkdir()
    (again / "seed.txt").write_text((first / "seed.txt").read_text())
    train_in_process(world, again, **options)
    assert results(again)["fewshot_images"] == results(first)["fewshot_images"]
    assert np.array_equal(scores(again), scores(first))
    assert results(other)["seed"] != results(first)["seed"]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_is_named(tmp_path: Path, workers: int) -> None:
    world = make_world(tmp_path, train=2)
    image = next((world / "data").rglob("test_0001*"))
    image.write_bytes(image.read_bytes()[:300])
    options = {"DATALOADER.NUM_WORKERS": workers, "OPTIM.MAX_EPOCH": 1}
    refused(f"^error: cannot read the image {re.escape(str(image))}", world, tmp_path / "out", **options)


def test_another_backbone_is_refused(undisturbed: Path, world: Path, tmp_path: Path) -> None:
    state = {key: value.contiguous() for key, value in random_clip(seed=5).openai_state_dict().items()}
    save_file(state, tmp_path / "other.safetensors")
    flags = ["--eval-only", "--model-dir", str(undisturbed), "--backbone", str(tmp_path / "other.safetensors")]
    refused("is of another backbone", world, tmp_path / "refused", flags=flags)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"TRAINER.MPAFER.TOPK": 3}, "no config key TRAINER.MPAFER.TOPK: did you mean TRAINER.MPAFER.TOP_K?"),
        ({"TRAINER.MPAFER.TOP_K": 99}, "TOP_K is 99"),
        ({"INPUT.SIZE": "(64, 64)"}, "INPUT.SIZE is (64, 64)"),
        ({"DATASET.ROOT": "nowhere"}, "RAFDB was not found"),
        ({"DATASET.NAME": "RAFBD"}, "RAFDB"),
        ({"MODEL.BACKBONE.NAME": "ViT-B/17"}, "no CLIP named 'ViT-B/17'"),
        ({"OPTIM.MAX_EPOCH": "many"}, "OPTIM.MAX_EPOCH"),
        ({"TEST.FINAL_MODEL": "bestval"}, "TEST.FINAL_MODEL is 'bestval'; choose one of last_step, best_val"),
    ],
)
def test_bad_input_is_one_clear_message(world: Path, tmp_path: Path, options: dict[str, object], message: str) -> None:
    refused(re.escape(message), world, tmp_path / "out", **options)


def test_the_front_door_shows_one_line(world: Path, tmp_path: Path) -> None:
    """Of a process: its status, and all that it says of an error; of a package that is not there too."""
    wrong = run(world, tmp_path / "out", **{"DATASET.ROOT": "nowhere"})
    printed = [line for line in wrong.stderr.splitlines() if "Traceback" in line or line.startswith("error: ")]
    assert wrong.returncode == 1 and len(printed) == 1 and printed[0].startswith("error: RAFDB was not found"), (
        wrong.stderr
    )
    command = [sys.executable, "-I", "-S", *arguments(world, tmp_path / "out")]
    absent = subprocess.run(command, capture_output=True, text=True)
    assert absent.returncode == 1 and "pip install -e" in absent.stderr and "Traceback" not in absent.stderr


def test_a_loss_that_is_not_finite_names_step_and_terms(world: Path, tmp_path: Path) -> None:
    message = r"Loss is infinite or NaN! epoch \[1/3\] batch \[2/3\].*ce_loss=nan"
    refused(message, world, tmp_path / "out", **{"OPTIM.LR": "1e38", "OPTIM.WARMUP_EPOCH": -1})


def test_selection_uses_a_validation_set_cut_from_training(world: Path, tmp_path: Path) -> None:
    train_in_process(world, tmp_path, **{"TEST.FINAL_MODEL": "best_val", "DATASET.VAL_FRACTION": 0.25})
    log = (tmp_path / "log.txt").read_text()
    assert log.count("Evaluate on the *val* set") == 3 and log.count("Evaluate on the *test* set") == 1
    assert "# val      14" in log and "# train_x  42" in log
    assert (tmp_path / "prompts" / "model-best.pth.tar").is_file()


def test_few_shot_images_are_listed_and_prototypes_take_their_share(world: Path, tmp_path: Path) -> None:
    options = {"DATASET.NUM_SHOTS": 2, "OPTIM.MAX_EPOCH": 1, "TRAINER.MPAFER.PROTOTYPE_SHOTS": 1}
    train_in_process(world, tmp_path, **options)
    images = results(tmp_path)["fewshot_images"]
    assert len(images) == len(set(images)) == 14
    assert "class prototypes of 7 images" in (tmp_path / "log.txt").read_text()


def test_zero_shot_needs_no_training(world: Path, tmp_path: Path) -> None:
    train_in_process(world, tmp_path, trainer="ZeroshotCLIP")
    record = results(tmp_path)
    assert record["learnable_values"] == 0 == record["checkpoint_bytes"] and record["num_images"] == 28


def test_a_run_gives_probabilities_for_photographs(undisturbed: Path, world: Path, tmp_path: Path) -> None:
    from mpafer import Predictor

    images = [str(world / "data" / row["image"]) for row in results(undisturbed)["predictions"]]
    answers = Predictor(undisturbed, faces="none", device="cpu", batch_size=5)(images)
    assert [answer.image for answer in answers] == images
    found = torch.tensor([list(answer.probabilities.values()) for answer in answers])
    torch.testing.assert_close(found, torch.from_numpy(scores(undisturbed)).softmax(dim=1), atol=1e-5, rtol=1e-4)
    table = tmp_path / "p.csv"
    assert "surprise" in run_command("mpafer.predict", str(undisturbed), *images[:2], "--csv", str(table))
    assert len(table.read_text().splitlines()) == 3
    with pytest.raises(SystemExit, match=r"^error: .*no checkpoint"):
        run_command("mpafer.predict", str(tmp_path), *images[:2])
