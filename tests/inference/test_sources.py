"""What a SOURCE names: files, folders at any depth, patterns, cameras; and the older form with the run in front."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpafer.common.errors import MissingFileError
from mpafer.inference.sources import Found, find_sources, split_run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    names = ("b.JPG", "a.png", "deep/er/c.webp", "deep/clip.MP4", "notes.txt", ".hidden.png", ".git/d.png", "[odd].png")
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("")
    (tmp_path / "in/folder.jpg").mkdir()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_at_any_depth(folder: Path) -> None:
    found = {(each.kind, each.path) for each in find_sources("in")}
    pictures = {("picture", f"in/{name}") for name in ("b.JPG", "a.png", "deep/er/c.webp", "[odd].png")}
    assert found == pictures | {("video", "in/deep/clip.MP4")}


def test_files_patterns_and_cameras(folder: Path) -> None:
    assert find_sources("in/notes.txt") == [Found("picture", "in/notes.txt")], "reading it says what it is"
    assert find_sources("in/**/*.[wM]*") == [Found("video", "in/deep/clip.MP4"), Found("picture", "in/deep/er/c.webp")]
    assert find_sources("in/[odd].png") == [Found("picture", "in/[odd].png")], "a file of that name is no pattern"
    assert find_sources("camera:0") == [Found("camera", "camera:0")]


@pytest.mark.parametrize(
    ("word", "message"),
    [("none.png", "none.png is not there"), ("none*", "none*: no file is named so"), ("empty", "holds no picture and")],
)
def test_what_names_nothing(folder: Path, word: str, message: str) -> None:
    with pytest.raises(MissingFileError) as caught:
        find_sources(word)
    assert message in str(caught.value)


def test_a_run_in_front(folder: Path) -> None:
    (folder / "run/prompts").mkdir(parents=True)
    (folder / "run/prompts/plot.png").write_text("")
    assert split_run(["run", "in"]) == ("run", ["in"])
    assert split_run(["in", "run"]) == ("", ["in", "run"])
    assert split_run(["run"]) == ("", ["run"]), "one word alone is something to look at"
    assert split_run(["empty", "in/a.png"]) == ("empty", ["in/a.png"]), (
        "a folder without pictures: no run there, it says"
    )
    assert split_run(["output/typo", "in/a.png"]) == ("output/typo", ["in/a.png"])
    for words in (["none.png", "in"], ["none*", "in"], ["camera:0", "in"], ["in/a.png", "in"]):
        assert split_run(words) == ("", words)
