"""The loop: log lines, steps, selection, resuming, mixed precision, several processes."""

from __future__ import annotations

import io
import random
import re
import socket
import sys
import time

import pytest
import torch
from support import toy as engine_toy

from mpafer.common.seeds import derive_seed, set_random_seed
from mpafer.engine import saving
from mpafer.engine.checkpoint import latest_epoch, load_checkpoint, saved_epochs
from mpafer.engine.log import MetricMeter, TensorBoard, setup_logger


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("faces")
    engine_toy.draw_images(path)
    return path


@pytest.fixture(scope="module")
def undisturbed(root, tmp_path_factory):
    """A run of four epochs, and its folder."""
    output = tmp_path_factory.mktemp("undisturbed")
    return engine_toy.train(root, output), output


class Stopped(Exception): ...


def stop_after(monkeypatch, epochs: int) -> None:
    """Let training end, without a chance to tidy up, when that many epochs are saved."""
    run = engine_toy.ToyTrainer.run_epoch

    def run_epoch(self):
        if self.epoch == epochs:
            raise Stopped
        run(self)

    monkeypatch.setattr(engine_toy.ToyTrainer, "run_epoch", run_epoch)


# --- the log


def test_log_lines_are_dassls(root, tmp_path, capsys):
    engine_toy.train(root, tmp_path, "TEST.PER_CLASS_RESULT", True, "TEST.COMPUTE_CMAT", True)
    log = capsys.readouterr().out
    losses = r"loss L \(L\) acc L \(L\) ce_loss L \(L\) other_loss 0\.0000 \(0\.0000\)"
    pattern = rf"^epoch \[2/4\] batch \[3/6\] time T \(T\) data T \(T\) {losses} lr 1\.0000e-02 eta H$"
    pattern = pattern.replace("T", r"\d+\.\d{3}").replace("L", r"\d+\.\d{4}").replace("H", r"\d:\d\d:\d\d")
    assert re.search(pattern, log, re.MULTILINE)
    assert log.count("epoch [") == 4 * 2  # six batches, PRINT_FREQ 3
    for line in (
        "No checkpoint found, train from scratch",
        f"Initialize tensorboard \\(log_dir={tmp_path}/tensorboard\\)",
        f"Checkpoint saved to {tmp_path}/prompts/model.pth.tar-4",
        "Finish training",
        "Deploy the last-epoch model",
        r"Evaluate on the \*test\* set",
        "=> result",
        r"\* total: 13",
        r"\* correct: \d+",
        r"\* accuracy: \d+\.\d%",
        r"\* error: \d+\.\d%",
        r"\* macro_f1: \d+\.\d%",
        r"\* uar: \d+\.\d%",
        "=> per-class result",
        r"\* class: 1 \(class1\)\ttotal: 4\tcorrect: \d\tacc: \d+\.\d%",
        r"\* average: \d+\.\d%",
        f"Confusion matrix is saved to {tmp_path}/cmat.pt",
        r"Elapsed: \d:\d\d:\d\d",
    ):
        assert re.search(f"^{line}$", log, re.MULTILINE), line
    assert log.index("Finish training") < log.index("=> result")  # where CoOp's parse_test_res.py starts to read
    assert torch.load(tmp_path / "cmat.pt").sum(dim=1).tolist() == pytest.approx([1, 1, 1])
    assert list((tmp_path / "tensorboard").iterdir())


def test_few_batches_print_every_one(root, tmp_path, capsys):
    engine_toy.train(root, tmp_path, "TRAIN.PRINT_FREQ", 50, "OPTIM.MAX_EPOCH", 1)
    assert capsys.readouterr().out.count("epoch [1/1]") == 6


def test_the_log_file_gets_lines_and_no_bars(tmp_path, monkeypatch):
    console = io.StringIO()
    monkeypatch.setattr(sys, "stdout", console)
    setup_logger(str(tmp_path))
    print("first")
    setup_logger(str(tmp_path))  # as a resumed run does
    print("second")
    assert (tmp_path / "log.txt").read_text() == "first\nsecond\n"
    setup_logger(str(tmp_path / "other" / "eval.log"))
    print("third")
    assert (tmp_path / "other" / "eval.log").read_text() == "third\n"
    assert (tmp_path / "log.txt").read_text() == "first\nsecond\n"
    assert console.getvalue() == "first\nsecond\nthird\n"
    sys.stdout.file.close()  # type: ignore[attr-defined]


def test_meters_and_seeds():
    meter = MetricMeter()
    for value in (1.5, torch.tensor(0.25), 3):
        meter.update({"loss": value})
    assert str(meter) == "loss 3.0000 (1.5833)"  # as Dassl prints it
    draws = []
    for seed in (0, 0, 1):
        set_random_seed(seed)
        draws.append((random.random(), float(torch.rand(()))))
    assert draws[0] == draws[1] != draws[2]
    with pytest.raises(ValueError, match="seed -1"):
        set_random_seed(-1)
    assert len({derive_seed(*keys) for keys in [(0, 1, 2), (0, 2, 1), (1, 1, 2), (0, 1, 2, 1)]}) == 4


# --- steps


def test_a_loss_that_is_not_finite_names_step_and_terms(root, tmp_path):
    trainer = engine_toy.build(root, tmp_path)
    with torch.no_grad():
        trainer.model.prompts[2].weight.fill_(float("nan"))
    message = r"Loss is infinite or NaN! epoch \[1/4\] batch \[1/6\]: ce_loss=nan, other_loss=0"
    with pytest.raises(FloatingPointError, match=message):
        trainer.train()
    assert saved_epochs(tmp_path / "prompts") == []


def test_a_loss_that_breaks_in_between_is_the_one_that_is_named(root, tmp_path, monkeypatch):
    """Losses are looked at every PRINT_FREQ steps and at an epoch's end; what was saved before stays."""
    losses = engine_toy.ToyModel.losses
    for at, where in ((8, r"epoch \[2/4\] batch \[2/6\]"), (11, r"epoch \[2/4\] batch \[5/6\]")):
        steps = iter(range(100))

        def breaking(self, out, labels, at=at, steps=steps):
            terms = losses(self, out, labels)
            return terms | {"other_loss": terms["ce_loss"] / (0 if next(steps) == at - 1 else 1)}

        output = tmp_path / str(at)
        with monkeypatch.context() as patch:
            patch.setattr(engine_toy.ToyModel, "losses", breaking)
            with pytest.raises(FloatingPointError, match=rf"{where}: ce_loss=[\d.]+, other_loss=inf$"):
                engine_toy.train(root, output, "TRAIN.PRINT_FREQ", 4)
        assert saved_epochs(output / "prompts") == [1]
        assert torch.isfinite(load_checkpoint(output / "prompts/model.pth.tar-1")["state_dict"]["2.weight"]).all()


def test_what_tensorboard_gets(root, tmp_path, monkeypatch):
    written: dict[str, dict[int, float]] = {}

    class Writer:
        def add_scalar(self, tag, value, step):
            assert step not in written.setdefault(tag, {}), "each step once"
            written[tag][step] = float(value)

        def close(self):
            written["closed"] = {}

    monkeypatch.setattr(TensorBoard, "open", lambda self, folder: setattr(self, "writer", Writer()))
    trainer = engine_toy.train(root, tmp_path, "TRAIN.PRINT_FREQ", 4, "OPTIM.MAX_EPOCH", 2)
    assert "closed" in written and trainer.tensorboard.writer is None
    for name in ("train/loss", "train/acc", "train/ce_loss", "train/other_loss", "train/lr"):
        assert list(written[name]) == list(range(2 * 6)), name
    assert [written["train/lr"][step] for step in (0, 4, 6)] == pytest.approx([1e-5, 1e-5, 1e-2])
    assert written["test/accuracy"] == {1: trainer.metrics["accuracy"]}


@pytest.mark.skipif(not hasattr(torch.amp, "GradScaler"), reason="before torch 2.3 loss scaling is for CUDA alone")
def test_the_loss_scaler_absorbs_overflow(root, tmp_path):
    trainer = engine_toy.build(root, tmp_path)
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    batch = next(iter(trainer.dm.train_loader))
    batch["img"] = batch["img"] * 100  # gradients times the scale leave float32's range
    before = trainer.weights
    trainer.step(batch)
    assert torch.equal(trainer.weights, before) and trainer.scaler.get_scale() == 2.0**126
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    trainer.step(batch)
    assert not torch.equal(trainer.weights, before) and torch.isfinite(trainer.weights).all()


# --- selection


def test_nothing_is_chosen_on_test_images(root, tmp_path):
    without_val = ("TRAINER.TOY.VAL", False)
    for option in (("TEST.FINAL_MODEL", "best_val"), ("TEST.SPLIT", "val")):
        with pytest.raises(ValueError, match="ToyFaces has no validation split, and nothing is chosen on test images"):
            engine_toy.build(root, tmp_path, *without_val, *option)
    for key, choices in (("FINAL_MODEL", "last_step, best_val"), ("SPLIT", "test, val")):
        with pytest.raises(ValueError, match=rf"TEST\.{key} is 'train'; choose one of {choices}"):
            engine_toy.build(root, tmp_path, f"TEST.{key}", "train")
    with pytest.raises(ValueError, match="no 'val' split to evaluate on"):
        engine_toy.build(root, tmp_path, *without_val).test("val")


def test_best_val_deploys_the_best_epoch_on_validation(root, tmp_path, monkeypatch, capsys):
    seen = []

    def test(self, split=None):
        seen.append(split)
        return [50.0, 80.0, 70.0, 80.0][self.epoch] if split == "val" else 0.0

    monkeypatch.setattr(engine_toy.ToyTrainer, "test", test)
    engine_toy.train(root, tmp_path, "TEST.FINAL_MODEL", "best_val")
    assert seen == ["val"] * 4 + [None]
    best = load_checkpoint(tmp_path / "prompts" / "model-best.pth.tar")
    assert (best["epoch"], best["val_result"]) == (2, 80.0)  # the earlier of equals
    assert "(epoch=2, val_result=80.0)" in capsys.readouterr().out
    assert latest_epoch(tmp_path / "prompts") == 4


def test_loading_by_epoch_is_strict(root, undisturbed, tmp_path):
    trainer, output = undisturbed
    fresh = engine_toy.build(root, tmp_path)
    fresh.load_model(str(output), epoch=4)
    assert torch.equal(fresh.weights, trainer.weights)
    with pytest.raises(FileNotFoundError, match=r"model\.pth\.tar-3; .* holds model\.pth\.tar-4"):
        fresh.load_model(str(output), epoch=3)
    smaller = engine_toy.build(root, tmp_path, "INPUT.SIZE", (4, 4))
    with pytest.raises(RuntimeError, match=r"does not fit this model: 2\.weight is \[3, 192\] there, \[3, 48\] here"):
        smaller.load_model(str(output), epoch=4)


def test_predictions_cover_every_image_once(undisturbed, root):
    predictions = undisturbed[0].predictions
    assert predictions is not None and predictions.scores.shape == (13, 3)
    assert predictions.impaths == [str(root / f"test{i}.png") for i in range(13)]
    assert predictions.labels.tolist() == [i % 3 for i in range(13)]


def test_what_learns_nothing_is_only_tested(root, tmp_path, capsys, monkeypatch):
    build = engine_toy.ToyTrainer.build_model
    monkeypatch.setattr(
        engine_toy.ToyTrainer, "build_model", lambda self: (build(self), setattr(self, "trained", None))
    )
    trainer = engine_toy.build(root, tmp_path)
    before = trainer.weights
    trainer.train()
    trainer.load_model("")  # nor has it anything to load
    assert torch.equal(trainer.weights, before) and trainer.predictions.scores.shape == (13, 3)
    log = capsys.readouterr().out
    assert "Evaluate on the *test* set" in log and "epoch [" not in log
    made = {path.name for path in tmp_path.iterdir()} - {"cache"}  # which a slow machine fills: files have settled
    assert made == {"results.json", "scores.npz"}


# --- checkpoints and resuming


def test_only_the_latest_and_the_asked_for_epochs_stay(root, tmp_path, undisturbed):
    assert saved_epochs(undisturbed[1] / "prompts") == [4]
    engine_toy.train(root, tmp_path, "TRAIN.CHECKPOINT_FREQ", 2, "OPTIM.MAX_EPOCH", 5)
    assert saved_epochs(tmp_path / "prompts") == [2, 4, 5]


def resume(root, output, monkeypatch, stop: int, *options):
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_after(patch, stop)
        engine_toy.train(root, output, *options)
    return engine_toy.train(root, output, *options)


@pytest.mark.parametrize("stop", [1, 3])
def test_a_resumed_run_is_the_uninterrupted_one(root, undisturbed, tmp_path, monkeypatch, capsys, stop):
    trainer, output = undisturbed
    resumed = resume(root, tmp_path, monkeypatch, stop)
    assert f"Found checkpoint at {tmp_path} (will resume training)" in capsys.readouterr().out
    ours, theirs = (load_checkpoint(folder / "prompts" / "model.pth.tar-4") for folder in (tmp_path, output))
    for state in (ours, theirs):
        assert state["extra"].pop("train_seconds") > 0
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)  # weights, momentum, schedule, generators, bit for bit
    assert torch.equal(resumed.predictions.scores, trainer.predictions.scores)


def test_the_best_epoch_is_the_same_when_resumed(root, tmp_path, monkeypatch):
    options = ("TEST.FINAL_MODEL", "best_val", "OPTIM.LR", 0.1)
    expected = engine_toy.train(root, tmp_path / "undisturbed", *options)
    resumed = resume(root, tmp_path / "resumed", monkeypatch, 3, *options)
    assert resumed.best_result == expected.best_result > 0
    assert torch.equal(resumed.weights, expected.weights)
    best, last = (load_checkpoint(p) for p in sorted((tmp_path / "resumed" / "prompts").glob("model*")))
    assert torch.equal(resumed.weights, best["state_dict"]["2.weight"]) and last["epoch"] == 4


@pytest.mark.parametrize("forgotten", ["set_rng_state", "optimizer", "scheduler", "seed"])
def test_resuming_needs_everything_that_is_saved(root, undisturbed, tmp_path, monkeypatch, forgotten):
    """The control of the test above: whatever is left out, the result differs."""
    if forgotten == "set_rng_state":
        monkeypatch.setattr(saving, "set_rng_state", lambda state: torch.manual_seed(7))
    elif forgotten == "seed":
        load = engine_toy.ToyTrainer.load_extra_state
        forget = lambda self, state: load(self, state | {"seed": 7})  # noqa: E731
        monkeypatch.setattr(engine_toy.ToyTrainer, "load_extra_state", forget)
    else:
        fresh = engine_toy.build(root, tmp_path / "fresh")
        state = (fresh.optim if forgotten == "optimizer" else fresh.sched).state_dict()
        monkeypatch.setattr(saving, "load_checkpoint", lambda path: load_checkpoint(path) | {forgotten: state})
    resumed = resume(root, tmp_path, monkeypatch, 2)
    assert not torch.equal(resumed.weights, undisturbed[0].weights)


def test_an_unseeded_run_keeps_its_seed_when_resumed(root, tmp_path, monkeypatch):
    resumed = resume(root, tmp_path, monkeypatch, 2, "SEED", -1)
    saved = load_checkpoint(tmp_path / "prompts" / "model.pth.tar-4")["extra"]["seed"]
    assert resumed.seed == saved
    assert engine_toy.build(root, tmp_path / "other", "SEED", -1).seed != saved


def test_a_finished_run_is_only_tested(root, tmp_path, undisturbed, capsys):
    again = engine_toy.train(root, undisturbed[1])
    assert "epoch [" not in capsys.readouterr().out
    assert torch.equal(again.predictions.scores, undisturbed[0].predictions.scores)
    with pytest.raises(ValueError, match=r"has 4 epochs, OPTIM.MAX_EPOCH=2"):
        engine_toy.train(root, undisturbed[1], "OPTIM.MAX_EPOCH", 2)
    with pytest.raises(FileNotFoundError, match=r"RESUME=/nowhere: there is no such folder"):
        engine_toy.train(root, tmp_path, "RESUME", "/nowhere")
    with pytest.raises(FileNotFoundError, match=r"RESUME=.*: there is no checkpoint in that folder"):
        engine_toy.train(root, tmp_path, "RESUME", str(tmp_path))


def test_a_run_goes_on_from_another_runs_folder(root, tmp_path, undisturbed, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_after(patch, 2)
        engine_toy.train(root, tmp_path / "first")
    second = engine_toy.train(root, tmp_path / "second", "RESUME", str(tmp_path / "first"))
    assert torch.equal(second.weights, undisturbed[0].weights)
    assert saved_epochs(tmp_path / "first/prompts") == [2] and saved_epochs(tmp_path / "second/prompts") == [4]


def test_a_killed_run_ends_in_the_same_numbers(root, tmp_path):
    options = ("OPTIM.MAX_EPOCH", 40)
    expected = engine_toy.train(root, tmp_path / "undisturbed", *options)
    context, rng = engine_toy.processes(), random.Random(1)
    killed_at, output = [0], tmp_path / "killed"
    for _ in range(3):
        process = context.Process(target=engine_toy.train_quietly, args=(root, output, *options))
        process.start()
        while process.is_alive() and (latest_epoch(output / "prompts") or 0) < killed_at[-1] + 2:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.join()
        killed_at.append(latest_epoch(output / "prompts"))
    assert killed_at == sorted(killed_at) and killed_at[1] > 0 and killed_at[-1] < 40  # each interrupted a running run
    resumed = engine_toy.train(root, output, *options)
    assert torch.equal(resumed.weights, expected.weights)
    assert torch.equal(resumed.predictions.scores, expected.predictions.scores)


# --- several processes


def test_two_ranks_equal_one(root, tmp_path, capfd):
    options = ("TRAINER.TOY.DROPOUT", 0.0)  # dropout draws on each rank
    expected = engine_toy.train(root, tmp_path / "one", *options)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    output = tmp_path / "two"
    capfd.readouterr()
    context = engine_toy.processes()
    ranks = [
        context.Process(target=engine_toy.train_as_rank, args=(r, 2, port, root, output, *options)) for r in (0, 1)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(60)
        assert process.exitcode == 0
    found = [torch.load(output / f"rank{rank}.pt") for rank in range(2)]
    assert torch.equal(found[0]["weights"], found[1]["weights"])
    assert found[0]["images"] == found[1]["images"] == expected.predictions.impaths
    torch.testing.assert_close(found[0]["weights"], expected.weights, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[1]["scores"], expected.predictions.scores, rtol=1e-4, atol=1e-5)
    other = engine_toy.train(root, tmp_path / "other", *options, "DATALOADER.TRAIN_X.BATCH_SIZE", 2)
    assert not torch.allclose(other.weights, expected.weights, rtol=1e-5, atol=1e-6)
    assert saved_epochs(output / "prompts") == [4]
