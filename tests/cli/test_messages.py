"""What everyday slips end in: one line that names the thing and the cure."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from support.commands import invoke, run_command
from support.models import CLASSES
from support.runs import arguments, environment, make_world, results, train_in_process

import mpafer
from mpafer.common.devices import named_device
from mpafer.common.errors import OptionError, user_message
from mpafer.common.files import atomic_file, make_folder, write_text
from mpafer.common.streams import speak_plainly
from mpafer.engine.log import Tee
from mpafer.inference.saved import load_run
from mpafer.results.document import Figure, Section, markdown, page
from mpafer.results.latex import as_latex
from mpafer.results.table import Table, as_csv, csv_text, number, text


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), train=2)


@pytest.fixture(scope="module")
def finished(world: Path) -> Path:
    train_in_process(world, world / "run/seed1", trainer="ZeroshotCLIP")
    return world / "run/seed1"


# --- devices


@pytest.mark.parametrize("name", ["gpu0", "", "cuda:99", "mps:7", 3.5])
def test_a_device_that_is_not_here(name: Any) -> None:
    with pytest.raises(OptionError, match=rf"^no device '{name}' here: there is cpu( and|; torch finds no GPU$)"):
        named_device(name)


def test_predict_where_no_run_is(world: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no checkpoint at .*nowhere.*: there is no such folder; name that of a run"):
        invoke("predict", str(tmp_path / "nowhere"), "face.jpg")
    with pytest.raises(SystemExit, match=r"no checkpoint at .*nowhere.*: there is no such folder; name that of a run"):
        train_in_process(world, tmp_path / "out", flags=["--eval-only", "--model-dir", str(tmp_path / "nowhere")])


def test_flags_behind_options(world: Path, tmp_path: Path) -> None:
    for flags in (["--force"], ["--seed", "3"]):
        with pytest.raises(SystemExit, match=f"{flags[0]} stands behind KEY VALUE pairs: put flags before them"):
            invoke("train", *arguments(world, tmp_path / "out")[1:], *flags)


def test_devices_that_are_here() -> None:
    assert named_device("cpu") == named_device(torch.device("cpu")) == torch.device("cpu")
    with pytest.raises(OptionError, match=r"^the device 'meta' holds no values: take cpu or cuda$"):
        named_device("meta")


def test_predict_on_a_device_that_is_not_here(finished: Path, world: Path) -> None:
    image = str(next((world / "data").rglob("test_*.jpg")))
    with pytest.raises(SystemExit, match=r"^error: no device 'gpu0' here: "):
        run_command("mpafer.predict", str(finished), image, "--device", "gpu0")


# --- folders


def test_a_folder_in_whose_place_something_else_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("/nowhere/else")
    cases = {
        "file": "file is a file, not a folder",
        "file/deeper/still": "file is a file, not a folder",
        "link": "link is a link to /nowhere/else, which is not there",
    }
    for name, message in cases.items():
        with pytest.raises(OptionError, match=rf"^--out {tmp_path}/{name}: {tmp_path}/{message}; name another folder$"):
            make_folder(tmp_path / name, "--out")
    assert make_folder(tmp_path / "new/folder", "--out").is_dir()
    (tmp_path / "there").symlink_to(tmp_path / "new")
    assert make_folder(tmp_path / "there/folder", "--out").is_dir()


def test_the_output_folder_is_a_file(world: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(SystemExit, match=rf"^error: --output-dir {tmp_path}/out: .* is a file, not a folder; name ano"):
        train_in_process(world, tmp_path / "out")


def test_a_tilde_is_the_users_folder(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(world / "data", tmp_path / "data")
    shutil.copy(world / "clip.safetensors", tmp_path)
    options = {"flags": ["--root", "~/data", "--backbone", "~/clip.safetensors"], "trainer": "ZeroshotCLIP"}
    train_in_process(world, Path("~/out"), **options)
    assert not (tmp_path / "~").exists()
    assert all((tmp_path / "data" / row["image"]).is_file() for row in results(tmp_path / "out")["predictions"])
    image = str(next((world / "data").rglob("test_*.jpg")))
    run_command("mpafer.predict", "~/out", image, "--csv", "~/answers.csv")
    invoke("report", "~/out", "--csv", "~/report.csv", "--json", "~/report.json")
    assert {"answers.csv", "report.csv", "report.json"} <= {path.name for path in tmp_path.iterdir()}


def test_a_link_to_nowhere_says_so(tmp_path: Path) -> None:
    (link := tmp_path / "a.jpg").symlink_to("/nowhere/a.jpg")
    with pytest.raises(FileNotFoundError) as caught:
        link.read_bytes()
    missing = f"[Errno 2] No such file or directory: '{link}'"
    assert user_message(caught.value) == f"{missing}: it is a link to /nowhere/a.jpg, which is not there"
    link.unlink()
    assert user_message(caught.value) == missing


# --- disks, processes, terminals


def test_a_word_without_end_is_shortened() -> None:
    assert user_message(OptionError(f"read {'x' * 200_000!r}, no name")) == f"read '{'x' * 499}... no name"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_named_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError) as full:
        write_text("/dev/full", "text")
    cure = "make room, and start again; a run goes on from its last epoch"
    assert user_message(full.value) == f"[Errno 28] No space left on device: '/dev/full': {cure}"
    log = Tee(io.StringIO(), Path("/dev/full"))
    with pytest.raises(OSError) as full_log:
        log.write("a line\n")
    assert str(user_message(full_log.value)).startswith("[Errno 28] No space left on device: '/dev/full': make room")
    with contextlib.suppress(OSError):
        log.file.close()
    with pytest.raises(OSError) as torn, atomic_file(tmp_path / "checkpoint"), open("/dev/full", "wb", 0) as file:
        file.write(b"0")
    assert f"'{tmp_path}/checkpoint': {cure}" in str(user_message(torn.value))


KILLER = """
import os
from torch.utils.data import get_worker_info
from mpafer.inputs.fast import FastImages

def killed(self, *which):
    if get_worker_info() is not None:
        os.kill(os.getpid(), 9)
    return get(self, *which)

for name in ("__getitem__", "__getitems__"):
    if get := getattr(FastImages, name, None):
        setattr(FastImages, name, killed)
"""


def test_a_process_that_reads_images_is_killed(world: Path, tmp_path: Path) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    flags = ["--import", str(tmp_path / "killer.py")]
    command = [sys.executable, *arguments(world, tmp_path / "out", flags=flags, **{"DATALOADER.NUM_WORKERS": 1})]
    done = subprocess.run(command, env=environment(world), capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: a process that reads images was killed, most often for want of memory (DataLoader")
    assert "lower DATALOADER.NUM_WORKERS, 0 = none; in a container, give it more shared memory (--shm-size)" in line
    assert user_message(RuntimeError("DataLoader is broken")) is None  # control


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "+-"), ("latin-1", "±"), ("utf-8", "±")])
def test_a_report_on_a_terminal_without_our_letters(finished: Path, encoding: str, shown: str) -> None:
    command = [sys.executable, "-m", "mpafer", "report", str(finished)]
    variables = {"LC_ALL": "C", "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, env=os.environ | variables, capture_output=True)
    assert done.returncode == 0 and not done.stderr
    assert re.search(rf"\d\.\d\d {re.escape(shown)} -", done.stdout.decode(encoding))


def test_letters_that_an_encoding_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", terminal)
    speak_plainly()
    print("Δ 1.00 ± 0.50 − é 笑")
    assert terminal.buffer.getvalue().split() == [b"d", b"1.00", b"+-", b"0.50", b"-", b"e", b"?"]  # type: ignore[attr-defined]


# --- cells


def test_no_cell_of_a_csv_is_a_formula() -> None:
    written = csv_text([["=cmd|' /C calc'!A0", "+1+1", "-x", "@SUM(A1)", "\tx", "\rx"], [-1, "-1.5", -0.5, "-", "a=b"]])
    first, second = csv.reader(io.StringIO(written, newline=""))
    assert first == ["'=cmd|' /C calc'!A0", "'+1+1", "'-x", "'@SUM(A1)", "'\tx", "' x"]
    assert second == ["-1", "-1.5", "-0.5", "-", "a=b"], "numbers stay"
    rows = [{"method": "=A1", "recall": {"x": -1.5}, "recall_sd": {"x": None}, "seeds": [-1, 2]}]
    assert as_csv(rows) == "method,recall_x,recall_x_sd,seeds\n'=A1,-1.5,,'-1 2\n"


def test_predictions_of_a_file_with_a_name_like_a_formula(finished: Path, world: Path, tmp_path: Path) -> None:
    name = "=cmd|x.jpg"
    shutil.copy(next((world / "data").rglob("test_*.jpg")), tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-m", "mpafer", "predict", str(finished), name, "--csv", "p.csv"],
        cwd=tmp_path, env=environment(world), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (row,) = csv.DictReader((tmp_path / "p.csv").read_text().splitlines())
    assert row["image"] == "'=cmd|x.jpg" and sum(float(row[name]) for name in CLASSES) == pytest.approx(1, abs=1e-5)


HOSTILE = "a|b\nc & <script>_\\input{x}%"


def test_names_break_no_table(tmp_path: Path) -> None:
    table = Table([text(HOSTILE, "name"), number("n", "n")], [{"name": HOSTILE, "n": 1}])
    document = [Section(HOSTILE, 1, [table, Figure("a.png", HOSTILE)])]
    (tmp_path / "a.png").write_bytes(b"")
    lines = markdown(document).splitlines()
    assert lines[0] == r"# a|b c & <script>_\input{x}%"
    head, rule, row = lines[2:5]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in (head, rule, row)}) == 1, "as many cells in each"
    assert head.startswith(r"| a\|b c & ") and row.startswith(r"| a\|b c & ") and len(lines) == 7
    web, tex = page(document, tmp_path), as_latex([(HOSTILE, table)], "x")
    assert "<script>" not in web and web.count("&lt;script&gt;") >= 4
    assert r"\input{x}" not in tex.split("\n", 1)[1] and r"\textbar{}" in tex and r"\_" in tex and r"\%" in tex


# --- Python


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mpafer.build_model(3, None, ["a"]), "method is a int, expected a name, as 'MPAFER'"),  # type: ignore[arg-type]
        (lambda: mpafer.build_model("CoOp", 3, ["a"]), "clip is a int, expected what mpafer.load_clip gives"),  # type: ignore[arg-type]
        (lambda: mpafer.build_model("CoOp", mpafer.load_clip("tiny"), "happy"), "classnames is the text 'happy'"),
        (lambda: mpafer.build_model("CoOp", mpafer.load_clip("tiny"), [1]), "class names are texts, but 1 is a int"),  # type: ignore[list-item]
        (lambda: load_run("/nowhere", device="gpu0"), "no device 'gpu0' here"),
        (lambda: load_run(3), "run is a int, expected the path of a folder"),  # type: ignore[arg-type]
    ],
)
def test_arguments_of_another_type(call: Any, message: str) -> None:
    with pytest.raises((TypeError, OptionError), match=f"^{message}"):
        call()
