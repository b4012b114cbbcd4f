"""What a command shows of an error: one line for what the user can mend, a traceback for all else."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from mpafer.common.config import read_file
from mpafer.common.errors import (
    CheckpointError,
    DataError,
    MissingFileError,
    MissingPackageError,
    OptionError,
    UserError,
    clear_errors,
    user_message,
)
from mpafer.common.texts import read_yaml
from mpafer.engine.log import BrokenLossError
from mpafer.inputs.reading import UnreadableImageError, read_image
from mpafer.prompting.descriptions import load_descriptions
from mpafer.results.variants import load_ablation
from mpafer.runs.grid import read_grid


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        (OptionError, ValueError),
        (DataError, ValueError),
        (MissingFileError, FileNotFoundError),
        (CheckpointError, RuntimeError),
        (MissingPackageError, ImportError),
        (UnreadableImageError, OSError),
        (BrokenLossError, FloatingPointError),
    ],
)
def test_the_users_errors_are_one_line(kind: type[UserError], base: type[Exception]) -> None:
    with pytest.raises(SystemExit, match=r"^error: what is wrong\nand where$"), clear_errors():
        raise kind("what is wrong\nand where")
    with pytest.raises(base), clear_errors():  # control: a library's error of the same kind is not the user's
        raise base("deep inside")


def test_files_and_full_disks_are_the_users(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=rf"^error: .*No such file.*{tmp_path}/none"), clear_errors():
        (tmp_path / "none").read_text()
    with (
        pytest.raises(SystemExit, match=r"^error: .*No space left on device: make room, and start again; "),
        clear_errors(),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert user_message(OSError("of no file")) is None and user_message(OSError(errno.EBADF, "bad")) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"A: 2020-01-01\n", "is not YAML with keys and values: "),
        (b"[1]\n", "is not YAML with keys and values: "),
        (b"A: B: C\n", "is not YAML: line 1: mapping values are not allowed here"),
        (b"\xff\xfe", "is no text in UTF-8, save it as such: "),
        (b"A: caf\xe9\n", "is no text in UTF-8, save it as such: "),
        (b"A: 1\nB: \0\n", r"is no text: it has NUL bytes in it \(line 2\); save it as UTF-8, or get it anew$"),
        (b"A: 2020-13-45\n", "is not YAML: month must be in 1..12$"),
        (b"[" * 5000, "is not YAML: it is nested too deep$"),
        (b"A: {no: 1}\n", "line 1: YAML reads the key no as False; put it in quotes: 'no'$"),
        (b"A: 1\nA: 2\n", "line 2: the key 'A' stands there a second time$"),
        (b"A: \x07\n", "is not YAML: unacceptable character"),
    ],
)
def test_a_file_that_is_no_config(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(DataError, match=rf"^{tmp_path}/config\.yaml,? {message}") as caught:
        read_file(tmp_path / "config.yaml")
    assert "\n" not in str(caught.value)


def test_every_yaml_of_the_users_is_read_by_the_same_reader(tmp_path: Path) -> None:
    (file := tmp_path / "twice.yaml").write_text("fear: a\nfear: b\n")
    for read in (load_descriptions, load_ablation, lambda name: read_grid("CoOp", name, [])):
        with pytest.raises(DataError, match=rf"^{file}, line 2: the key 'fear' stands there a second time$"):
            read(str(file))


def test_yaml_keeps_what_it_can_say(tmp_path: Path) -> None:
    """Marks at the start, quoted words, what a mapping takes over from another, and JSON."""
    (file := tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: &x {b: 1, c: 2}\nd: {<<: *x, b: 3}\n'no': off\n")
    assert read_yaml(file) == {"a": {"b": 1, "c": 2}, "d": {"b": 3, "c": 2}, "no": False}
    file.write_text('{"a": ["b", null]}')
    assert read_yaml(file) == {"a": ["b", None]}


class Images(Dataset[torch.Tensor]):
    """Image files, or what a fault of ours would be."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        if not self.path:
            raise ValueError("a fault")
        read_image(self.path)
        raise OptionError("two\nlines: OptionError")


def test_a_loaders_worker_gives_its_message_alone(tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    with pytest.raises(UnreadableImageError, match="Caught UnreadableImageError in DataLoader worker") as caught:
        list(DataLoader(Images(str(bad)), num_workers=2))
    assert str(user_message(caught.value)).startswith(f"cannot read the image {bad}: not an image; ")
    good = tmp_path / "good.png"
    Image.new("RGB", (4, 4)).save(good)
    with pytest.raises(OptionError) as option:
        list(DataLoader(Images(str(good)), num_workers=2))
    assert user_message(option.value) == "two\nlines: OptionError"
    with pytest.raises(ValueError, match="a fault") as fault:
        list(DataLoader(Images(""), num_workers=2))
    assert user_message(fault.value) is None


@pytest.mark.parametrize(
    ("code", "last", "traceback"),
    [
        ("from mpafer.common.options import check_choice; check_choice('A', 1, [2])", "A is 1; choose one of 2", False),
        ("open('/nowhere')", "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere'", True),
        ("raise ValueError('theirs')", "ValueError: theirs", True),
    ],
)
def test_other_peoples_code_keeps_its_tracebacks(tmp_path: Path, code: str, last: str, traceback: bool) -> None:
    """`python -m mpafer.plug` shows our own errors alone in one line; a stand-in takes Dassl's place."""
    for name in ("config", "utils"):
        (tmp_path / "dassl").mkdir(exist_ok=True)
        (tmp_path / f"dassl/{name}.py").write_text("get_cfg_default = setup_logger = None\n")
    (tmp_path / "dassl/__init__.py").write_text("")
    (tmp_path / "train.py").write_text(code)
    run = subprocess.run(
        [sys.executable, "-m", "mpafer.plug", str(tmp_path / "train.py")],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1 and ("Traceback" in run.stderr) == traceback
    assert run.stderr.splitlines()[-1] == (last if traceback else f"error: {last}")
