"""Hashes of contents: right whatever happened to the files, and read no more often than needed."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from pathlib import Path

import pytest
import xxhash
from support import toy

from mpafer.inputs import hashing
from mpafer.inputs.hashing import content_hashes, known_hashes


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files in three folders, as old as if they had been there for long."""
    paths = [tmp_path / f"folder{i % 3}" / f"{i}.bin" for i in range(300)]
    for i, path in enumerate(paths):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(f"contents {i:04d}".encode() * (i + 1))
    later(monkeypatch)
    return paths


def later(monkeypatch: pytest.MonkeyPatch, seconds: float = 10) -> None:
    now = time.time() + seconds
    monkeypatch.setattr(hashing, "time", type("clock", (), {"time": staticmethod(lambda: now)}))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read, in any order."""
    paths: list[str] = []
    real = hashing.read_content
    monkeypatch.setattr(hashing, "read_content", lambda path: paths.append(str(path)) or real(path))
    return paths


def expected(files: list[Path]) -> list[str]:
    return [xxhash.xxh3_128_hexdigest(path.read_bytes()) for path in files]


def test_a_file_is_read_once(files: list[Path], read: list[str]) -> None:
    assert known_hashes(files) == [None] * len(files)
    assert content_hashes([*files, files[0]]) == [*expected(files), expected(files)[0]]
    assert sorted(read) == sorted(map(str, files))
    read.clear()
    assert known_hashes(files) == content_hashes([str(path) for path in files]) == expected(files) and not read
    assert content_hashes([]) == []


def test_another_way_to_a_folder_is_the_same_folder(
    files: list[Path], read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content_hashes(files)
    read.clear()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "folder0")
    assert known_hashes(["folder1/1.bin", "link/0.bin", "folder0/../folder2/2.bin"]) == [
        expected(files)[i] for i in (1, 0, 2)
    ]


def replace(path: Path, contents: bytes) -> None:
    """Other contents of equal size and time, as `cp -p` and unzip leave them."""
    about = path.stat()
    new = path.with_name("new")
    new.write_bytes(contents)
    os.utime(new, ns=(about.st_atime_ns, about.st_mtime_ns))
    os.replace(new, path)
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (about.st_size, about.st_mtime_ns)


def overwrite(path: Path, contents: bytes) -> None:
    """The same in place: the inode stays."""
    about = path.stat()
    path.write_bytes(contents)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert path.stat().st_ino == about.st_ino


@pytest.mark.parametrize("change", [replace, overwrite])
def test_other_contents_of_equal_size_and_time_are_seen(files: list[Path], read: list[str], change) -> None:
    before = content_hashes(files)
    read.clear()
    change(files[7], b"CONTENTS 0007" * 8)
    after = content_hashes(files)
    assert after == expected(files) and read == [str(files[7])]
    assert [i for i in range(len(files)) if before[i] != after[i]] == [7]


def test_a_file_that_has_just_changed_is_read_again(tmp_path: Path, read: list[str], monkeypatch) -> None:
    """Within a tick of the file system's clock it can change twice: its times would be the same."""
    path = tmp_path / "new"
    path.write_bytes(b"one")
    content_hashes([path])
    assert known_hashes([path]) == [None]
    later(monkeypatch)
    content_hashes([path])
    assert known_hashes([path]) == expected([path])  # control


def test_a_damaged_memory_is_made_again(
    files: list[Path], read: list[str], own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content_hashes(files)
    parts = sorted((own_cache / "contents").glob("*.json"))
    assert 1 <= len(parts) <= 3
    part = parts[0]
    whole = part.read_bytes()
    lie = whole.replace(expected(files)[0][:8].encode(), b"00000000") if len(parts) == 1 else whole[:-40] + whole[-39:]
    for damaged in (b"", b"[]", b"{}", json.dumps({"content": {}}).encode(), whole[:-9], whole + b" ", lie, b"\xff"):
        part.write_bytes(damaged)
        caplog.clear()
        read.clear()
        with caplog.at_level(logging.WARNING, "mpafer"):
            assert content_hashes(files) == expected(files)
        assert read and "made again" in caplog.text
        assert part.read_bytes() == whole


def test_every_flipped_byte_is_found(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"a")
    later(monkeypatch)
    content_hashes([path])
    (part,) = (own_cache / "contents").glob("*.json")
    whole = part.read_bytes()
    for place in range(len(whole)):
        part.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert known_hashes([path]) == [None]
    part.write_bytes(whole)
    assert known_hashes([path]) == expected([path])  # control


def test_what_cannot_be_read_is_named(files: list[Path], tmp_path: Path) -> None:
    gone, folder, pipe = tmp_path / "gone", tmp_path / "folder0", tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, reason in ((gone, "there is no such file"), (folder, "irectory"), (pipe, "it is a pipe")):
        with pytest.raises(OSError, match=f"cannot read {path}: .*{reason}"):
            content_hashes([*files, path])


def test_a_memory_that_cannot_be_written_is_a_warning(files, own_cache: Path, caplog) -> None:
    own_cache.write_text("a file")
    assert content_hashes(files) == expected(files)
    assert "hashes of files are not kept" in caplog.text


def test_threads_and_processes_at_once_lose_nothing(
    files: list[Path], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All files are in the same part; each process and thread adds some of them."""
    monkeypatch.setattr(hashing, "PARTS", 1)
    context, files = toy.processes(), files[:90]
    for path in files:
        os.utime(path)
    time.sleep(hashing.SETTLED + 0.1)
    tasks = [[str(path) for path in files[i::6]] for i in range(6)]
    workers = [context.Process(target=toy.hash_in_one_part, args=(own_cache, paths)) for paths in tasks[:3]]
    workers += [threading.Thread(target=content_hashes, args=(paths,)) for paths in tasks[3:]]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert known_hashes(files) == expected(files)
