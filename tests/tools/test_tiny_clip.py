"""The tiny CLIP: the shipped file knows the words of every prompt, and its pretraining makes such a file."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import asset
import pool
import pytest
import torch
import training
from safetensors import safe_open
from support.commands import invoke

from mpafer.clip import Clip, load_clip
from mpafer.clip.tokens import tokenize
from mpafer.clip.weights import TINY
from mpafer.clip.words import PUNCTUATION, known_words
from mpafer.common.errors import OptionError

FACES, HELD_OUT = 80, 16


def assert_knows_the_prompts(clip: Clip) -> None:
    for prompts in asset.class_prompts().values():
        clip.tokenize(prompts)
    adjectives = ["happy", "sad", "angry", "surprised", "disgusted", "afraid", "fearful"]
    clip.tokenize([f"a photo of a {word} face." for word in adjectives])
    clip.tokenize(["a photo of a", "an image of a face.", "X X X X anger."])
    with pytest.raises(OptionError, match="wombat"):
        clip.tokenize(["a photo of a wombat"])


def test_the_shipped_file_is_small_and_knows_every_word_of_the_prompts() -> None:
    path = Path(str(TINY))
    assert path.stat().st_size <= 6e6
    with safe_open(path, framework="pt") as file:
        assert file.metadata()["format"] == "mpafer-tiny"
        assert file.get_tensor("token_embedding.weight").shape[0] == file.get_tensor("token_ids").shape[0]
    assert_knows_the_prompts(load_clip("tiny"))


def test_the_listed_words_are_those_that_the_shipped_file_knows() -> None:
    """Together with the punctuation their tokens are the file's, none missing and none too many."""
    words, clip = known_words(), load_clip("tiny")
    assert words == sorted(set(words)) and clip.known_tokens is not None
    of_words = tokenize([*words, *PUNCTUATION.split()]).unique()  # with start, end and padding
    assert torch.equal(of_words, clip.known_tokens.nonzero().flatten())


def test_an_unknown_word_is_named_with_the_closest_known_ones() -> None:
    message = (
        r"tiny knows only the words .* not 'eyebow' \(it knows eyebrow, .*\), 'qqq' of 'an eyebow, qqq'; .*--words"
    )
    with pytest.raises(OptionError, match=message):
        load_clip("tiny").tokenize(["an eyebrow", "an eyebow, qqq"])


def test_the_words_can_be_printed() -> None:
    printed = invoke("methods", "--words").split()
    assert printed == [*known_words(), *PUNCTUATION.split()]


def test_faces_are_a_function_of_seed_and_count() -> None:
    once, again, other = (pool.draw_pool(seed, 12, workers=1) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(vars(once).values(), vars(again).values(), strict=True))
    assert not torch.equal(once.images, other.images)
    assert once.images.shape == (12, 3, 96, 96) and once.tokens.shape == (12, pool.CAPTIONS, pool.LENGTH)
    assert ((once.tokens == pool.EOS).sum(dim=-1) == 1).all()


def test_a_short_pretraining_writes_a_file_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(training, "HOLD_OUT", HELD_OUT)
    monkeypatch.setattr(training, "SHIFTED", HELD_OUT)
    caplog.set_level("INFO")
    arguments = Namespace(out=tmp_path / "clip.safetensors", state=tmp_path / "state", minutes=0.02, images=FACES,
                          batch=16, seed=0, workers=1, threads=1, compile=False)  # fmt: skip
    training.pretrain(arguments)
    assert f"{FACES - HELD_OUT} faces" in caplog.text and "zero-shot, SketchFER style" in caplog.text
    clip = load_clip(str(arguments.out))
    assert clip.visual.image_size == pool.IMAGE_SIZE and int(clip.logit_scale.exp()) == 100
    assert_knows_the_prompts(clip)
    training.pretrain(arguments)
    assert "stage 1 goes on after 0.0 minutes" in caplog.text
    towers = (load_clip(str(arguments.out)).visual, clip.visual)
    assert all(torch.equal(*pair) for pair in zip(*(tower.parameters() for tower in towers), strict=True))
