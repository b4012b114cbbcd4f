"""A store of decoded images cannot change a pixel: what is damaged or stale is found, and made again."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import toy
from torch import Tensor

from mpafer.inputs import decoded as module
from mpafer.inputs import store
from mpafer.inputs.decoded import ImageStore
from mpafer.inputs.reading import read_image
from mpafer.inputs.store import open_store

COUNT = 60


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    folder = tmp_path / "data"
    folder.mkdir()
    for i in range(COUNT):
        pixels = rng.integers(0, 256, (10 + i % 5, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02d}.bmp")
    return sorted(map(str, folder.iterdir()))


def decode(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


def opened(paths: list[str], what: str = "as they are") -> ImageStore:
    return open_store(paths, decode, what, Path(paths[0]).parent, 1.0)


def images(paths: list[str]) -> list[Tensor]:
    found = opened(paths)
    return [found[i] for i in range(len(paths))]


def right(found: list[Tensor], paths: list[str]) -> bool:
    return all(np.array_equal(image, decode(read_image(path))) for image, path in zip(found, paths, strict=True))


def invert_half(path: Path) -> None:
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[:half] = bytes(255 - byte for byte in data[:half])
    path.write_bytes(data)


def invert_second_half(path: Path) -> None:
    path.write_bytes(
        bytes(255 - byte if i > path.stat().st_size // 2 else byte for i, byte in enumerate(path.read_bytes()))
    )


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[1000] ^= 4
    path.write_bytes(data)


DAMAGES = {
    "half inverted": invert_half,
    "second half": invert_second_half,
    "a bit": flip_a_bit,
    "cut": lambda path: os.truncate(path, path.stat().st_size - 7),
    "cut short": lambda path: os.truncate(path, 5),
    "empty": lambda path: os.truncate(path, 0),
    "prolonged": lambda path: path.write_bytes(path.read_bytes() + bytes(56)),
    "JSON": lambda path: path.write_text("{}"),
    "another's": lambda path: shutil.copy(
        opened(sorted(map(str, path.parent.parent.glob("*.bmp"))), "others").path, path
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_found_mended_and_said_in_one_line(paths: list[str], capsys, damage) -> None:
    path = opened(paths).path
    whole = path.read_bytes()
    damage(path)
    assert path.read_bytes() != whole
    capsys.readouterr()
    assert right(images(paths), paths)
    lines = [line for line in capsys.readouterr().out.splitlines() if "decoded, kept in" not in line]
    assert len(lines) == 1 and str(path) in lines[0] and "again" in lines[0]
    assert path.read_bytes() == whole
    assert right(images(paths), paths) and not capsys.readouterr().out


def test_without_the_check_the_damage_would_be_read(paths: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Control."""
    invert_half(opened(paths).path)
    monkeypatch.setattr(ImageStore, "_is_right", lambda self, number: True)
    assert not right(images(paths), paths)


def test_a_store_that_is_read_only_is_mended_in_memory(paths: list[str], monkeypatch, capsys) -> None:
    path = opened(paths).path
    flip_a_bit(path)
    damaged = path.read_bytes()

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ImageStore, "_write", refuse)
    found = opened(paths)
    capsys.readouterr()
    for _ in range(2):
        assert right([found[i] for i in range(COUNT)], paths)
    assert path.read_bytes() == damaged and len(capsys.readouterr().out.splitlines()) == 1


def test_a_store_that_another_process_made_anew_is_not_written_to(paths: list[str]) -> None:
    path = opened(paths).path
    flip_a_bit(path)
    found = opened(paths)
    path.unlink()
    path.write_bytes(b"another")
    assert right([found[i] for i in range(COUNT)], paths) and path.read_bytes() == b"another"


def test_workers_share_what_was_checked(paths: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """Images of a loader with workers are right, and the line comes once."""
    invert_half(opened(paths).path)
    capfd.readouterr()
    found = opened(paths)
    loader = torch.utils.data.DataLoader(
        found, 6, num_workers=2, sampler=range(COUNT), collate_fn=lambda batch: [image.clone() for image in batch]
    )  # type: ignore[call-overload]
    assert right([image for batch in loader for image in batch], paths)
    assert found.checked[:COUNT].all() and capfd.readouterr().out.count("is damaged") == 1


def test_it_is_sent_to_a_process_that_maps_it_itself(paths: list[str]) -> None:
    found = pickle.loads(pickle.dumps(opened(paths)))
    assert right([found[i] for i in range(COUNT)], paths)


def keep_times(path: Path, contents: bytes) -> None:
    """As `cp -p` and unzip: other contents, equal size and time."""
    about = path.stat()
    assert len(contents) == about.st_size
    path.write_bytes(contents)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def test_images_of_equal_size_and_time_are_seen(paths: list[str], capsys) -> None:
    first = images(paths)
    stale = [image.clone() for image in first]
    keep_times(Path(paths[0]), Path(paths[5]).read_bytes())
    capsys.readouterr()
    found = images(paths)
    assert right(found, paths) and not torch.equal(found[0], stale[0])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "made again: images have changed" in lines[0]


def test_only_touched_images_are_not_decoded_again(paths: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    images(paths)
    os.utime(paths[0], (1, 1))
    monkeypatch.setattr(store, "_write", None)  # would fail
    assert right(images(paths), paths)


def test_a_replaced_image_is_not_mixed_with_others(paths: list[str]) -> None:
    """The store is open, an array in it is damaged, and its image is another by now."""
    path = opened(paths).path
    flip_a_bit(path)
    found = opened(paths)
    for image in paths:
        keep_times(Path(image), Path(image).read_bytes()[::-1][:0] + Path(image).read_bytes()[:-1] + b"\x07")
    with pytest.raises(ValueError, match=r"the image .* changed while it was used: start the run again"):
        [found[i] for i in range(COUNT)]


def test_a_store_of_the_older_form_is_left_alone(paths: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = opened(paths).path
    monkeypatch.setattr(store, "VERSION", module.VERSION + 1)
    assert opened(paths).path != path


def test_processes_that_find_damage_at_once(paths: list[str], tmp_path: Path) -> None:
    open_store(paths, decode, "race", tmp_path, 1.0)
    (path,) = tmp_path.glob("mpafer_fast/*.u8")
    for damage in (invert_half, invert_second_half):
        damage(path)
        context = toy.processes()
        processes = [context.Process(target=toy.count_and_store, args=(tmp_path, paths)) for _ in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
        assert [process.exitcode for process in processes] == [0, 0]
        totals = {int(file.read_text().split()[1]) for file in tmp_path.glob("*.count")}
        assert totals == {sum(int(decode(read_image(path)).sum()) for path in paths)}
