"""The trainer over the runner: what a run leaves behind, resuming, killing, refusing, several processes."""

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
from support.runs import arguments, environment, make_world, prompts, results, run, scores


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def undisturbed(world: Path) -> Path:
    """A finished run: seed 1, 3 epochs."""
    out = world / "undisturbed"
    finished = run(world, out)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return out


def test_a_run_leaves_log_results_scores_and_a_small_checkpoint(undisturbed: Path, world: Path) -> None:
    log = (undisturbed / "log.txt").read_text()
    assert "** Engine **\nbuiltin" in log and "Finish training" in log and "* accuracy:" in log
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
    assert record["peak_memory_of"] == "process" and 2**27 < record["peak_memory_bytes"] < 2**35  # torch alone: 128 MiB
    assert set(prompts(undisturbed)) == {"text.ctx", "visual.prompts"}
    assert list((undisturbed / "tensorboard").iterdir())
    assert record["config"]["TRAINER"]["MPAFER"]["N_CTX"] == 10 and record["engine"]["name"] == "builtin"


def test_same_command_same_numbers_other_seed_other_numbers(undisturbed: Path, world: Path) -> None:
    assert run(world, world / "again").returncode == 0
    assert np.array_equal(scores(world / "again"), scores(undisturbed))
    for name in ("zero", "zero again"):
        assert run(world, world / name, seed=0).returncode == 0
    assert np.array_equal(scores(world / "zero"), scores(world / "zero again"))  # 0 is a seed
    assert not np.array_equal(scores(world / "zero"), scores(undisturbed))


def test_killed_at_any_moment_it_ends_as_if_nothing_had_happened(world: Path, tmp_path: Path) -> None:
    longer = {"OPTIM.MAX_EPOCH": 40}
    assert run(world, tmp_path / "whole", **longer).returncode == 0
    moments = random.Random(7)
    killed = tmp_path / "killed"
    command = [sys.executable, *arguments(world, killed, **longer)]
    log, interrupted = killed / "log.txt", 0
    for attempt in range(4):
        process = subprocess.Popen(
            command, env=environment(world), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        marker = "Loading evaluator" if attempt else "Loading dataset"  # the first one dies before any checkpoint
        before = log.read_text().count(marker) if log.is_file() else 0
        while process.poll() is None and not (log.is_file() and log.read_text().count(marker) > before):
            time.sleep(0.02)
        while attempt == 3 and process.poll() is None and not list(killed.glob("prompts/model.pth.tar-*")):
            time.sleep(0.02)  # the last one dies after a checkpoint, however busy the machine is
        time.sleep(moments.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        interrupted += process.wait() == -signal.SIGKILL
    assert interrupted == 4 and not (killed / "results.json").is_file()
    last = run(world, killed, **longer)
    assert last.returncode == 0, last.stdout + last.stderr
    assert "Previous epoch: " in last.stdout
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
    assert run(world, world / "seed2", seed=2).returncode == 0
    with pytest.raises(AssertionError):  # control: the same comparison sees another order of the images
        np.testing.assert_allclose(scores(world / "seed2"), scores(undisturbed), atol=1e-3)


def test_evaluation_loads_what_was_trained_and_refuses_the_rest(undisturbed: Path, world: Path, tmp_path: Path) -> None:
    load = ["--eval-only", "--model-dir", str(undisturbed)]
    same = run(world, tmp_path / "same", flags=load)
    assert same.returncode == 0, same.stderr
    assert np.array_equal(scores(tmp_path / "same"), scores(undisturbed))
    record, trained = results(tmp_path / "same"), results(undisturbed)
    assert record["epochs"] == 3 and record["checkpoint_bytes"] == trained["checkpoint_bytes"]
    for options, message in (
        ({"TRAINER.MPAFER.VISUAL_DEPTH": 1}, r"another shapes: .*\[2, 8, 64\].* there, .*\[1, 8, 64\].* in this run"),
        ({"TRAINER.MPAFER.N_CTX": 4}, r"\[10, 64\].* there, .*\[4, 64\]"),
        (
            {"DATASET.SUBSAMPLE_CLASSES": "anger,fear"},
            r"another classnames: \['surprise', .* there, \['anger', 'fear'\]",
        ),
    ):
        refused = run(world, tmp_path / "refused", flags=load, **options)
        assert refused.returncode == 1 and "Traceback" not in refused.stderr
        assert re.search(message, refused.stderr), refused.stderr
    missing = run(world, tmp_path / "none", flags=["--eval-only", "--model-dir", str(tmp_path), "--load-epoch", "3"])
    assert missing.returncode == 1 and "no checkpoint at" in missing.stderr


def test_a_run_goes_on_with_its_own_options_only(world: Path, undisturbed: Path, tmp_path: Path) -> None:
    other = run(world, undisturbed, **{"TRAINER.MPAFER.TAU": 0.5, "OPTIM.LR": 0.5})
    assert other.returncode == 1 and "Traceback" not in other.stderr
    assert "TRAINER.MPAFER.TAU 0.07 there, 0.5 here" in other.stderr and "OPTIM.LR" in other.stderr
    empty = run(world, tmp_path / "out", flags=["--resume", str(tmp_path)])
    assert empty.returncode == 1 and "there is no checkpoint in that folder" in empty.stderr
    unnamed = run(world, tmp_path / "out", flags=["--eval-only"])
    assert unnamed.returncode == 1 and "--model-dir" in unnamed.stderr
    foreign = tmp_path / "foreign" / "prompts"
    foreign.mkdir(parents=True)
    torch.save({"state_dict": {}, "epoch": 1}, foreign / "model-best.pth.tar")
    refused = run(world, tmp_path / "out", flags=["--eval-only", "--model-dir", str(tmp_path / "foreign")])
    assert refused.returncode == 1 and "a checkpoint of another program" in refused.stderr


def test_an_unseeded_run_keeps_its_seed_when_it_is_resumed(world: Path, tmp_path: Path) -> None:
    options = {"seed": -1, "DATASET.NUM_SHOTS": 2, "OPTIM.MAX_EPOCH": 1}
    first, again, other = tmp_path / "first", tmp_path / "again", tmp_path / "other"
    for out in (first, other):
        assert run(world, out, **options).returncode == 0
    drawn = results(first)["fewshot_images"]
    again.mkdir()
    (again / "seed.txt").write_text((first / "seed.txt").read_text())
    assert run(world, again, **options).returncode == 0
    assert results(again)["fewshot_images"] == drawn and np.array_equal(scores(again), scores(first))
    assert results(other)["seed"] != results(first)["seed"]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_is_named(tmp_path: Path, workers: int) -> None:
    world = make_world(tmp_path, train=2)
    image = next((world / "data").rglob("test_0001*"))
    image.write_bytes(image.read_bytes()[:300])
    stopped = run(world, tmp_path / "out", **{"DATALOADER.NUM_WORKERS": workers, "OPTIM.MAX_EPOCH": 1})
    assert stopped.returncode == 1 and "Traceback" not in stopped.stderr, stopped.stderr
    assert stopped.stderr.strip().splitlines()[-1].startswith(f"error: cannot read the image {image}")


def test_another_backbone_is_refused(undisturbed: Path, world: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file
    from support.models import random_clip

    state = {key: value.contiguous() for key, value in random_clip(seed=5).openai_state_dict().items()}
    save_file(state, tmp_path / "other.safetensors")
    flags = ["--eval-only", "--model-dir", str(undisturbed), "--backbone", str(tmp_path / "other.safetensors")]
    refused = run(world, tmp_path / "refused", flags=flags)
    assert refused.returncode == 1 and "is of another backbone" in refused.stderr


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
    refused = run(world, tmp_path / "out", **options)
    assert refused.returncode == 1 and message in refused.stderr and "Traceback" not in refused.stderr, refused.stderr


def test_an_engine_that_cannot_be_had_and_a_package_that_is_not_there(world: Path, tmp_path: Path) -> None:
    command = [sys.executable, *arguments(world, tmp_path / "out")]
    wrong = environment(world) | {"MPAFER_ENGINE": "dasl"}
    refused = subprocess.run(command, env=wrong, capture_output=True, text=True)
    assert refused.returncode == 1 and refused.stderr.startswith("error: MPAFER_ENGINE='dasl': expected one of auto")
    absent = subprocess.run([sys.executable, "-I", "-S", *command[1:]], capture_output=True, text=True)
    assert absent.returncode == 1 and "pip install -e" in absent.stderr and "Traceback" not in absent.stderr


def test_a_loss_that_is_not_finite_names_step_and_terms(world: Path, tmp_path: Path) -> None:
    stopped = run(world, tmp_path / "out", **{"OPTIM.LR": "1e38", "OPTIM.WARMUP_EPOCH": -1})
    assert stopped.returncode == 1
    assert "Loss is infinite or NaN! epoch [1/3] batch [2/3]" in stopped.stderr and "ce_loss=nan" in stopped.stderr


def test_selection_uses_a_validation_set_cut_from_training(world: Path, tmp_path: Path) -> None:
    chosen = run(world, tmp_path / "out", **{"TEST.FINAL_MODEL": "best_val", "DATASET.VAL_FRACTION": 0.25})
    assert chosen.returncode == 0, chosen.stderr
    log = (tmp_path / "out" / "log.txt").read_text()
    assert log.count("Evaluate on the *val* set") == 3 and log.count("Evaluate on the *test* set") == 1
    assert "# val      14" in log and "# train_x  42" in log
    assert (tmp_path / "out" / "prompts" / "model-best.pth.tar").is_file()


def test_few_shot_images_are_listed_and_prototypes_take_their_share(world: Path, tmp_path: Path) -> None:
    options = {"DATASET.NUM_SHOTS": 2, "OPTIM.MAX_EPOCH": 1, "TRAINER.MPAFER.PROTOTYPE_SHOTS": 1}
    finished = run(world, tmp_path / "out", **options)
    assert finished.returncode == 0, finished.stderr
    images = results(tmp_path / "out")["fewshot_images"]
    assert len(images) == len(set(images)) == 14
    assert "class prototypes of 7 images" in (tmp_path / "out" / "log.txt").read_text()


def test_zero_shot_needs_no_training(world: Path, tmp_path: Path) -> None:
    finished = run(world, tmp_path / "out", trainer="ZeroshotCLIP")
    assert finished.returncode == 0, finished.stderr
    record = results(tmp_path / "out")
    assert record["learnable_values"] == 0 == record["checkpoint_bytes"] and record["num_images"] == 28


def test_a_run_gives_probabilities_for_photographs(undisturbed: Path, world: Path, tmp_path: Path) -> None:
    from mpafer.inference.saved import load_run, probabilities

    model, transform = load_run(undisturbed)
    images = [str(world / "data" / row["image"]) for row in results(undisturbed)["predictions"]]
    found = probabilities(model, transform, images, batch_size=5)
    torch.testing.assert_close(found, torch.from_numpy(scores(undisturbed)).softmax(dim=1), atol=1e-5, rtol=1e-4)
    command = [sys.executable, "-m", "mpafer.predict", str(undisturbed), *images[:2], "--csv", str(tmp_path / "p.csv")]
    printed = subprocess.run(command, capture_output=True, text=True, env=environment(world))
    assert printed.returncode == 0 and "surprise" in printed.stdout, printed.stderr
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 3
    command[3] = str(tmp_path)
    refused = subprocess.run(command, capture_output=True, text=True, env=environment(world))
    assert refused.returncode == 1 and "no checkpoint" in refused.stderr and "Traceback" not in refused.stderr
