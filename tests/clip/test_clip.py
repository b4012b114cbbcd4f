"""The towers against OpenAI's `clip` package on the same random weights, and every way weights come in."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from mpafer.clip import Clip, download, load_clip
from mpafer.clip.tokens import clip_module, tokenize
from mpafer.common.errors import DataError, MissingFileError, OptionError

# image, patch, vision width, vision layers, text width, text layers, D
SIZES = [(64, 16, 128, 3, 64, 2, 32), (56, 14, 64, 2, 128, 3, 48), (96, 32, 192, 2, 64, 1, 64)]


def openai_clip(size: tuple[int, ...], seed: int = 0) -> torch.nn.Module:
    """A random CLIP built by OpenAI's own code, with weights large enough for every path to matter."""
    clip_module()
    from clip.model import CLIP

    image, patch, vision, vision_layers, text, text_layers, dim = size
    torch.manual_seed(seed)
    model = CLIP(dim, image, vision_layers, vision, patch, 77, 49408, text, text // 64, text_layers)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.1)
    return model.eval()


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"patch{size[1]}")
def pair(request: pytest.FixtureRequest) -> tuple[torch.nn.Module, Clip]:
    theirs = openai_clip(request.param)
    return theirs, Clip.from_state_dict(theirs.state_dict())


def texts() -> Tensor:
    return clip_module().tokenize(["a photo of anger.", "a", "a face with raised eyebrows and an open mouth"])


@torch.no_grad()
def assert_equal_outputs(theirs: torch.nn.Module, ours: Clip) -> None:
    torch.manual_seed(3)
    images = torch.randn(3, 3, ours.visual.image_size, ours.visual.image_size)
    torch.testing.assert_close(ours.encode_image(images), theirs.encode_image(images), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.encode_text(texts()), theirs.encode_text(texts()), atol=1e-5, rtol=1e-5)


def test_towers_equal_openai(pair: tuple[torch.nn.Module, Clip]) -> None:
    assert_equal_outputs(*pair)


@pytest.mark.parametrize("tower", ["visual", "text"])
def test_parity_fails_on_other_weights(pair: tuple[torch.nn.Module, Clip], tower: str) -> None:
    """Control: a slightly other bias in the last layer of either tower must be seen."""
    ours = copy.deepcopy(pair[1])
    bias = getattr(ours, tower).transformer.resblocks[-1].mlp.c_proj.bias
    bias += 1e-3 * torch.randn_like(bias)
    with pytest.raises(AssertionError):
        assert_equal_outputs(pair[0], ours)


@torch.no_grad()
def test_patches_are_projected_as_the_class_token_is(pair: tuple[torch.nn.Module, Clip]) -> None:
    theirs, ours = pair
    images = torch.randn(2, 3, ours.visual.image_size, ours.visual.image_size)
    kept: list[Tensor] = []
    hook = theirs.visual.transformer.register_forward_hook(lambda *args: kept.append(args[2]))
    theirs.encode_image(images)
    hook.remove()
    expected = theirs.visual.ln_post(kept[0].permute(1, 0, 2)[:, 1:]) @ theirs.visual.proj
    torch.testing.assert_close(ours.visual(images)[1], expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_deep_prompts_are_concatenation_and_drop(pair: tuple[torch.nn.Module, Clip]) -> None:
    """[z, _] = block([z, p]) with OpenAI's own blocks, and the control that prompts do change the output."""
    theirs, ours = pair
    visual = theirs.visual
    images = torch.randn(2, 3, visual.input_resolution, visual.input_resolution)
    prompts = torch.randn(2, 5, ours.visual.width)
    x = visual.conv1(images).flatten(2).permute(0, 2, 1)
    x = torch.cat([visual.class_embedding.expand(2, 1, -1), x], 1) + visual.positional_embedding
    x = visual.ln_pre(x).permute(1, 0, 2)
    for layer, block in enumerate(visual.transformer.resblocks):
        if layer < len(prompts):
            length = len(x)
            x = block(torch.cat([x, prompts[layer][:, None].expand(-1, 2, -1)]))[:length]
        else:
            x = block(x)
    expected = visual.ln_post(x[0]) @ visual.proj
    torch.testing.assert_close(ours.visual(images, list(prompts))[0], expected, atol=2e-5, rtol=1e-5)
    assert (ours.visual(images)[0] - expected).abs().max() > 1e-2


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_follows_float32(pair: tuple[torch.nn.Module, Clip], dtype: torch.dtype) -> None:
    ours = pair[1]
    low = ours.cast(dtype)
    assert low.visual.ln_pre.weight.dtype == torch.float32 and ours.dtype == torch.float32
    assert low.fingerprint == ours.fingerprint
    images = torch.randn(2, 3, ours.visual.image_size, ours.visual.image_size)
    features = low.encode_image(images)
    similarity = torch.cosine_similarity(features, ours.encode_image(images))
    assert low.dtype == dtype and features.dtype == torch.float32 and similarity.min() > 0.999
    assert low.encode_text(texts()).dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):  # PREC amp
        mixed = ours.encode_image(images)
        assert mixed.dtype == ours.encode_text(texts()).dtype == torch.float32
    assert not torch.equal(mixed, ours.encode_image(images)), "the control: the towers did run in bfloat16"


def test_formats_load_alike(tmp_path: Path) -> None:
    """A JIT archive as OpenAI's (float16, with its three numbers), a plain and a FaRL-style dict, safetensors."""
    from clip.model import convert_weights

    theirs = openai_clip(SIZES[0])
    convert_weights(theirs)
    state = {key: value.clone() for key, value in theirs.state_dict().items()}
    torch.save(state, tmp_path / "plain.pt")
    torch.save({"state_dict": {**state, "mim_head.weight": torch.ones(2)}}, tmp_path / "farl.pth")
    save_file(state, tmp_path / "clip.safetensors")
    for name, number in (("input_resolution", 64), ("context_length", 77), ("vocab_size", 49408)):
        theirs.__dict__.pop(name, None)
        theirs.register_buffer(name, torch.tensor(number))
    torch.jit.trace(theirs, (torch.randn(1, 3, 64, 64), texts()), check_trace=False).save(str(tmp_path / "jit.pt"))
    assert "input_resolution" in torch.jit.load(str(tmp_path / "jit.pt")).state_dict()
    assert any(value.dtype == torch.float16 for value in state.values())
    clips = [load_clip(str(path)) for path in tmp_path.iterdir()]
    assert len(clips) == 4 and len({clip.fingerprint for clip in clips}) == 1
    assert all(clip.dtype == torch.float32 for clip in clips)
    other = {key: value + 1e-2 for key, value in state.items()}
    torch.save(other, tmp_path / "other.pt")
    assert load_clip(str(tmp_path / "other.pt")).fingerprint != clips[0].fingerprint


def test_bad_files_are_named(tmp_path: Path) -> None:
    state = openai_clip(SIZES[0]).state_dict()
    whole = tmp_path / "whole.pt"
    torch.save(state, whole)
    cut = tmp_path / "cut.pt"
    cut.write_bytes(whole.read_bytes()[:100_000])
    with pytest.raises(DataError, match=r"cut\.pt \(100,000 bytes\) cannot be read"):
        load_clip(str(cut))
    (tmp_path / "empty.pt").touch()
    torch.save([1, 2], tmp_path / "list.pt")
    for name in ("empty.pt", "list.pt"):
        with pytest.raises(DataError, match=rf"{name} .* cannot be read as CLIP weights"):
            load_clip(str(tmp_path / name))
    torch.save({"visual.layer1.0.conv1.weight": torch.ones(1)}, tmp_path / "rn50.pt")
    with pytest.raises(DataError, match="ResNet CLIP"):
        load_clip(str(tmp_path / "rn50.pt"))
    del state["ln_final.bias"]
    torch.save(state, tmp_path / "less.pt")
    with pytest.raises(DataError, match=r"ln_final\.bias"):
        load_clip(str(tmp_path / "less.pt"))
    with pytest.raises(OptionError, match="no CLIP named 'ViT-B/61' and no file of that path; did you mean ViT-B/16"):
        load_clip("ViT-B/61")
    with pytest.raises(OptionError, match=r"known: ViT-B/16, ViT-B/32, .*, tiny"):
        load_clip("nowhere/clip.safetensors")
    with pytest.raises(OptionError, match="ResNet"):
        load_clip("RN50")


def test_without_network_the_error_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(url: str, root: str) -> str:
        raise OSError("no network")

    monkeypatch.setattr(download, "CACHE", tmp_path)
    monkeypatch.setattr(clip_module(), "_download", no_network)
    with pytest.raises(MissingFileError, match=rf"sha256 5806e77c.*put it at {tmp_path}/ViT-B-16\.pt"):
        load_clip("ViT-B/16")
    (tmp_path / "ViT-B-16.pt").write_bytes(b"half")
    with pytest.raises(MissingFileError, match="is damaged or cut short"):
        load_clip("ViT-B/16")


def test_overlong_text_is_an_error() -> None:
    assert tokenize(["word " * 75]).shape == (1, 77)
    with pytest.raises(OptionError, match="longer than CLIP's 77 tokens"):
        tokenize(["word " * 76])
