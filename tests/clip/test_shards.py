"""Weights in several parts: the same model as in one file, bit for bit; what is missing or does not fit is named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.foreign import any_clip, huggingface, huggingface_config, write

from mpafer.clip import load_clip
from mpafer.clip.sizes import OPENAI
from mpafer.common.errors import DataError, MissingFileError, OptionError

NAMES = {"safetensors": "model", "bin": "pytorch_model"}


def sharded(folder: Path, ending: str = "safetensors", parts: int = 2) -> Path:
    """A random CLIP under Hugging Face's names, cut into parts as their libraries do; the index."""
    state = huggingface(any_clip((OPENAI, OPENAI)).openai_state_dict())
    stem, keys, places = NAMES[ending], sorted(state), {}
    for part in range(parts):
        name = f"{stem}-{part + 1:05d}-of-{parts:05d}.{ending}"
        write(folder, name, {key: state[key] for key in keys[part::parts]}, config=huggingface_config())
        places |= dict.fromkeys(keys[part::parts], name)
    index = folder / f"{stem}.{ending}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return index


@pytest.mark.parametrize("ending", NAMES)
@pytest.mark.parametrize("named", ["index", "folder", "first part", "last part"])
def test_parts_are_the_model_in_one_file(tmp_path: Path, ending: str, named: str) -> None:
    index = sharded(tmp_path, ending, parts=3)
    parts = sorted(tmp_path.glob(f"*-of-00003.{ending}"))
    state = huggingface(any_clip((OPENAI, OPENAI)).openai_state_dict())
    whole = load_clip(write(tmp_path / "one", "model.safetensors", state, config=huggingface_config()))
    path = {"index": index, "folder": tmp_path, "first part": parts[0], "last part": parts[-1]}[named]
    loaded = load_clip(str(path))
    theirs, ours = loaded.openai_state_dict(), whole.openai_state_dict()
    assert theirs.keys() == ours.keys() and all(torch.equal(theirs[key], ours[key]) for key in ours)
    assert (loaded.fingerprint, loaded.activation) == (whole.fingerprint, whole.activation)


def other_part(index: Path) -> None:
    part = index.with_name("model-00002-of-00002.safetensors")
    state = load_file(part)
    save_file({key: state[key] for key in sorted(state)[1:]}, part)


def renamed(index: Path) -> None:
    part = index.with_name("model-00002-of-00002.safetensors")
    save_file(load_file(part) | {"more": torch.ones(1)}, part)


def leading_out(index: Path) -> None:
    content = json.loads(index.read_text())
    content["weight_map"]["visual_projection.weight"] = "../model.safetensors"
    index.write_text(json.dumps(content))


def cut(index: Path) -> None:
    index.write_bytes(index.read_bytes()[:100])


def damaged(index: Path) -> None:
    part = index.with_name("model-00002-of-00002.safetensors")
    part.write_bytes(part.read_bytes()[:-8])


def without_part(index: Path) -> None:
    index.with_name("model-00002-of-00002.safetensors").unlink()


def empty(index: Path) -> None:
    index.write_text('{"weight_map": {}}')


def a_list(index: Path) -> None:
    index.write_text("[]")


WRONG: dict[str, tuple[Callable[[Path], None], type[Exception], str]] = {
    "missing part": (without_part, MissingFileError, "model-00002-of-00002.safetensors is not there"),
    "a tensor fewer": (other_part, DataError, "model-00002-of-00002.safetensors lacks "),
    "a tensor more": (renamed, DataError, "model-00002-of-00002.safetensors holds more, unlike what"),
    "a part elsewhere": (leading_out, DataError, "names a part '../model.safetensors', which is no file beside it"),
    "half an index": (cut, DataError, "is no index of a model in parts, or a damaged one"),
    "half a part": (damaged, DataError, "model-00002-of-00002.safetensors .* cannot be read as CLIP weights"),
    "no parts": (empty, DataError, "names no parts"),
    "a list": (a_list, DataError, "is no index of a model in parts"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("named", ["", "model-00001-of-00002.safetensors"])
def test_what_does_not_fit_is_named(tmp_path: Path, wrong: str, named: str) -> None:
    damage, kind, message = WRONG[wrong]
    index = sharded(tmp_path)
    damage(index)
    with pytest.raises(kind, match=message):
        load_clip(str(index.with_name(named) if named else index))


def test_a_part_without_its_index(tmp_path: Path) -> None:
    index = sharded(tmp_path)
    index.unlink()
    with pytest.raises(MissingFileError, match=re.escape(f"one of 2 parts of a model: put {index.name} beside it")):
        load_clip(str(tmp_path / "model-00001-of-00002.safetensors"))


def test_a_folder_with_other_weights_too_is_not_guessed_in(tmp_path: Path) -> None:
    sharded(tmp_path)
    write(tmp_path, "open_clip_model.safetensors", {"weight": torch.ones(1)})
    with pytest.raises(
        OptionError,
        match=r"is a folder: name the file of weights in it \(model-00001.*, model.safetensors.index.json, open_c",
    ):
        load_clip(str(tmp_path))
