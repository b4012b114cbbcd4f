"""Files given as CLIP that are none: each is told what it is, in one line, and nothing in it is run."""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from support.models import random_clip
from torch import Tensor

from mpafer.clip import Clip, load_clip
from mpafer.common.errors import DataError, OptionError


class Bomb:
    """A pickle that would leave a file when it runs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


def saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def image() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    return buffer.getvalue()


def archive() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, weights=np.ones(3))
    return buffer.getvalue()


def whole() -> bytes:
    return saved(random_clip().openai_state_dict())


ONE = torch.ones(1)
OURS = {"state_dict": {"text.ctx": ONE}, "epoch": 3, "extra": {"identity": {"method": "MPAFER"}}}
TRAINED = {"state_dict": {"ctx": ONE, "token_prefix": ONE}, "epoch": 3, "optimizer": {}}
ADAM = {"state": {0: {"exp_avg": ONE}}, "param_groups": []}
FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.pt": (lambda: b"", "it is empty"),
    "page.pt": (lambda: b"\n<!DOCTYPE html><html>", "it is an HTML page, as a web site answers"),
    "pointer.pt": (lambda: b"version https://git-lfs.example/spec/v1\noid", "it is a Git LFS pointer"),
    "index.json": (lambda: b'{"weight_map": {}}', "it is JSON text"),
    "blank.pt": (lambda: b"\n \n", "it is text, which begins .."),
    "notes.pt": (lambda: b"to do\n" * 9, "it is text, which begins 'to do'"),
    "photo.pt": (image, "it is an image"),
    "arrays.pt": (archive, r"it is a zip archive without weights, it holds weights\.npy"),
    "model.h5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(99), "it is an HDF5 file"),
    "file.tar.gz": (lambda: b"\x1f\x8b" + bytes(99), "it is a packed archive"),
    "pickle.pt": (lambda: pickle.dumps({"a": 1}, protocol=4), "it is a pickle of Python's"),
    "noise.pt": (lambda: bytes(range(256)) * 9, "it is damaged or cut short"),
    "cut.pt": (lambda: whole()[:100_000], "it is an archive that is cut short"),
    "bytes.pt": (lambda: whole()[:3_000] + bytes(5_000) + whole()[8_000:], "(it is damaged|holds NaN|cannot be read)"),
    "object.pt": (lambda: saved({"a": Path("x")}), r"more than the tensors and plain values.*\(pathlib\.\w+\)"),
    "model.pt": (lambda: saved(torch.nn.Linear(1, 1)), r"more than the tensors and plain values.*Linear"),
    "list.pt": (lambda: saved([1, 2]), "it holds a list instead of named tensors"),
    "numbers.pt": (lambda: saved({"epoch": 3}), "it holds no tensors, only 'epoch'"),
    "adam.pt": (lambda: saved(ADAM), "it holds an optimiser's state"),
    "ours.pt": (lambda: saved(OURS), "a checkpoint of prompts trained with mpafer, which need a CLIP"),
    "coop.pt": (lambda: saved(TRAINED), "this is the prompts of a run, which need a CLIP"),
}
NAMES = {
    "visual.layer1.0.conv1.weight": "a ResNet CLIP",
    "module.visual.attnpool.c_proj.weight": "a ResNet CLIP",
    "vision_model.head.probe": "a SigLIP",
    "visual.trunk.blocks.0.attn.qkv.weight": "an open_clip model whose vision tower is timm's",
    "visual.blocks.0.attn.q_proj.weight": "an EVA-CLIP",
    "text_decoder.positional_embedding": "a CoCa",
    "text.transformer.embeddings.word_embeddings.weight": "a CLIP whose text tower is another model",
    "bert.encoder.layer.0.attention.self.key.weight": "a CLIP whose text tower is another model",
    "positional_embedding_res": "a Long-CLIP",
    "visual.transformer.resblocks.0.ls_1.gamma": "an open_clip model with layer scale",
    "visual_encoder.blocks.0.norm1.weight": "a BLIP or ALBEF",
    "model.layers.0.self_attn.q_proj.weight": "a language model",
    "blocks.0.attn.qkv.weight": "a vision transformer without text tower",
    "layer1.0.conv1.weight": "a ResNet without a text tower",
    "base_model.model.visual.proj.lora_A.weight": "an adapter",
}


def refusal(path: Path) -> str:
    """The message on a file: one line, of the file, and without torch's advice."""
    with pytest.raises(DataError) as caught:
        load_clip(str(path))
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    assert not re.search("weights_only|will likely succeed|allowlist|safe_globals", message)
    return message


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_file_is_told_what_it_is(tmp_path: Path, name: str) -> None:
    make, message = FILES[name]
    (tmp_path / name).write_bytes(make())
    assert re.search(message, refusal(tmp_path / name)), refusal(tmp_path / name)


@pytest.mark.parametrize("name", NAMES)
def test_another_model_is_known_by_its_names(tmp_path: Path, name: str) -> None:
    torch.save({name: ONE, "logit_scale": ONE}, tmp_path / "other.pt")
    assert f"this is {NAMES[name]}" in refusal(tmp_path / "other.pt")


def test_nothing_in_a_hostile_file_runs(tmp_path: Path) -> None:
    bomb, mark = tmp_path / "bomb.pt", tmp_path / "mark"
    torch.save({"state_dict": Bomb(mark)}, bomb)
    refusal(bomb)
    old = tmp_path / "old.pt"
    torch.save({"state_dict": Bomb(mark)}, old, _use_new_zipfile_serialization=False)
    refusal(old)
    assert not mark.exists()
    torch.load(bomb, weights_only=False)  # control: it would have
    assert mark.exists()


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    """Safetensors called .pt, torch's file called .safetensors, torch's older format."""
    clip = random_clip()
    state = {key: value.contiguous() for key, value in clip.openai_state_dict().items()}
    save_file(state, tmp_path / "a.pt")
    torch.save(state, tmp_path / "b.safetensors")
    torch.save(state, tmp_path / "c.bin", _use_new_zipfile_serialization=False)
    assert {load_clip(str(path)).fingerprint for path in tmp_path.iterdir()} == {clip.fingerprint}
    (tmp_path / "a.pt").write_bytes((tmp_path / "a.pt").read_bytes()[:-9])
    assert "it is damaged or cut short" in refusal(tmp_path / "a.pt")
    with pytest.raises(OptionError, match=r"is a folder: name the file of weights in it \(a\.pt, b\.safet"):
        load_clip(str(tmp_path))


CHANGES: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "visual.proj": (lambda value: value[:, :16], r"visual\.proj is \[64, 16\], but the other tensors ask for \[64, 32"),
    "visual.conv1.weight": (lambda value: value[:, :1], "in 1 channels; a CLIP's are square and in colour"),
    "visual.positional_embedding": (lambda value: value[:-1], "has 16 rows; a CLIP has 1 . a square of patches"),
    "positional_embedding": (lambda value: value[:64], "a CLIP of another tokenizer"),
    "token_embedding.weight": (lambda value: value[:32000], "32,000 tokens and 77 positions"),
    "text_projection": (lambda value: value[0], r"text_projection is \[32\]; a CLIP's has 2 dimensions"),
    "ln_final.weight": (lambda value: value[:3], r"ln_final\.weight is \[3\]"),
    "transformer.resblocks.1.mlp.c_fc.weight": (lambda value: value[:9], r"c_fc\.weight is \[9, 64\]"),
    "transformer.resblocks.0.mlp.c_fc.weight": (lambda value: value.char(), r"torch\.int8.*quantised or sparse"),
    "transformer.resblocks.0.ln_1.bias": (lambda value: value * torch.nan, r"ln_1\.bias holds NaN or infinity"),
    "logit_scale": (lambda value: value[None], r"logit_scale is \[1\]"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_tensors_that_do_not_fit_are_named_before_anything_is_built(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, message = CHANGES[name]
    state = random_clip().openai_state_dict()
    torch.save({**state, name: change(state[name])}, tmp_path / "clip.pt")
    generator = torch.get_rng_state()
    assert re.search(message, refusal(tmp_path / "clip.pt")), refusal(tmp_path / "clip.pt")
    assert torch.equal(torch.get_rng_state(), generator)  # building draws numbers


def test_missing_layers_and_words_are_named(tmp_path: Path) -> None:
    state = random_clip(layers=3).openai_state_dict()
    gap = {key: value for key, value in state.items() if "visual.transformer.resblocks.1." not in key}
    with pytest.raises(DataError, match=r"visual\.transformer\.resblocks\.0, 1, 2, \.\.\. there are 2, with gaps"):
        Clip.from_state_dict(gap)
    words = {**state, "token_embedding.weight": torch.ones(3, 64)}
    for ids in (torch.tensor([1, 2]), torch.tensor([1, 2, 99999]), torch.tensor([[1, 2, 3]])):
        with pytest.raises(DataError, match="do not number the 3 rows"):
            Clip.from_state_dict({**words, "token_ids": ids})


def test_a_zip_bomb_of_names_is_read_without_unpacking(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("x/other.bin", bytes(50_000_000))
    assert "zip archive without weights" in refusal(tmp_path / "a.pt")
