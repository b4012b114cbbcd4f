"""The tiny CLIP's pretraining pairs: painted faces of people who are not in SketchFER, with free captions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from captions import caption
from joblib import Parallel, delayed
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from mpafer.clip.tokens import tokenize
from mpafer.sketch.generate import class_list, draw_image
from mpafer.sketch.identity import BEARDS, GLASSES, HAIR_STYLES, Identity, sample_identity
from mpafer.sketch.render import render
from mpafer.sketch.style import Style, sample_style
from mpafer.sketch.units import CLASSES, UNITS, ActionUnits, sample_expression, sample_fidget

STREAM = 11  # pretraining's own stream of numpy's generators: SketchFER uses 1 to 4
FAMILIES, SHARES = ("easy", "natural", "wild"), (0.15, 0.4, 0.45)
CAPTIONS = 4  # a face
LENGTH = 56  # tokens kept of a caption: the longest have about 50
SHIFT_SEED = 90210  # of the SketchFER-style faces that show progress; SketchFER has another seed
IMAGE_SIZE = 96  # of the tiny CLIP
SOS, EOS = 49406, 49407  # OpenAI's tokens


@dataclass
class Pool:
    """Faces for pretraining (N of them) as tensors.

    images uint8 [N, 3, S, S]; units float [N, 20]; traits float [N, T], the permanent features as 0 or 1;
    tokens [N, captions, L], zero-padded; emotion [N], the class or -1 for a face of no class.
    """

    images: Tensor
    units: Tensor
    traits: Tensor
    tokens: Tensor
    emotion: Tensor
    easy: Tensor  # bool [N]: not of the wild family

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, part: slice) -> Pool:
        return Pool(*(column[part] for column in vars(self).values()))


def draw_pool(seed: int, count: int, workers: int) -> Pool:
    """Draw `count` faces and caption each several times; a function of seed and count."""
    chunks = [(seed, start, min(start + 250, count)) for start in range(0, count, 250)]
    done = Parallel(n_jobs=workers, return_as="generator")(delayed(draw_chunk)(*chunk) for chunk in chunks)
    parts = list(tqdm(done, total=len(chunks), desc="drawing pretraining faces", unit="x250"))
    return Pool(*(torch.from_numpy(np.concatenate(column)) for column in zip(*parts, strict=True)))


def load_pool(state: Path, seed: int, count: int, workers: int) -> Pool:
    """The pool, drawn once and kept in the state folder."""
    path = state / f"pool-{seed}-{count}-{IMAGE_SIZE}.pt"
    if not path.exists():
        part = path.with_suffix(".part")
        torch.save(vars(draw_pool(seed, count, workers)), part)
        part.replace(path)
    return Pool(**torch.load(path, weights_only=True, mmap=True))


def draw_chunk(seed: int, start: int, stop: int) -> list[np.ndarray]:
    """Faces `start` to `stop` and their captions, as the columns of a `Pool`."""
    columns = zip(*(draw_pair(seed, index) for index in range(start, stop)), strict=True)
    return [np.stack([np.asarray(value) for value in column]) for column in columns]


def draw_pair(seed: int, index: int) -> tuple[Any, ...]:
    """One face and its captions, in the order of Pool's fields."""
    rng = np.random.default_rng([STREAM, seed, index])
    emotion = int(rng.integers(len(CLASSES))) if rng.random() < 0.65 else -1
    name = CLASSES[emotion] if emotion >= 0 else None
    au = sample_expression(rng, name) if name else sample_free(rng)
    who, style = sample_identity(rng), sample_style(rng, str(rng.choice(FAMILIES, p=SHARES)))
    pixels = shrink(render(au, who, style).image)
    tokens = np.zeros((CAPTIONS, LENGTH), dtype=np.int32)
    for row in tokens:
        ids = encode(caption(rng, au, who, style, name))
        if len(ids) > LENGTH:  # the longest captions lose their last words
            ids = [*ids[: LENGTH - 1], EOS]
        row[: len(ids)] = ids
    return pixels, au.vector(), traits(who, style), tokens, emotion, style.family != "wild"


def sample_free(rng: np.random.Generator) -> ActionUnits:
    """A face of no class: a few units at random strength, so that captions name parts without an emotion."""
    active = rng.random(len(UNITS)) < rng.uniform(0.08, 0.4)
    return ActionUnits.from_vector(np.where(active, rng.uniform(0.3, 1.0, len(UNITS)), 0) + sample_fidget(rng) * 0.3)


def traits(who: Identity, style: Style) -> np.ndarray:
    """The traits of person and picture that captions mention, as 0 or 1: [T]."""
    kinds = ((who.hair_style, HAIR_STYLES), (who.beard, BEARDS), (who.glasses, GLASSES))
    flags = [value == option for value, options in kinds for option in options]
    flags += [who.freckles, who.earrings, style.grey, style.cover != "none", style.scene != "plain"]
    return np.array(flags, dtype=np.float32)


def draw_shifted(count: int) -> tuple[Tensor, Tensor]:
    """Faces in SketchFER's style for validation: images uint8 [count, 3, S, S] and labels [count]."""
    images, labels = [], []
    for index, truth in enumerate(class_list(SHIFT_SEED, "train", count)):
        jpeg, record = draw_image(SHIFT_SEED, "train", index, truth)
        images.append(shrink(np.asarray(Image.open(io.BytesIO(jpeg)))))
        labels.append(CLASSES.index(record["label"]))
    return torch.from_numpy(np.stack(images)), torch.tensor(labels)


def shrink(pixels: np.ndarray) -> np.ndarray:
    """Pixels [H, W, 3] -> [3, S, S], bicubic, as the backbone's transform does."""
    size = (IMAGE_SIZE, IMAGE_SIZE)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)).transpose(2, 0, 1)


@cache
def word_ids(word: str) -> tuple[int, ...]:
    """OpenAI's token ids of a word."""
    row = tokenize([word])[0]
    return tuple(row[1 : int(row.argmax())].tolist())


def encode(text: str) -> list[int]:
    """OpenAI's token ids with SOS and EOS, word by word (the same ids as `tokenize`, and much faster)."""
    words = [token for word in text.split() for token in word_ids(word)]
    return [SOS, *words, EOS]


def compact_tokens(pool: Pool, extra: Sequence[str]) -> Tensor:
    """Renumber the pool's tokens, in place, as rows of a small embedding table.

    Args:
        pool: its tokens are OpenAI's ids.
        extra: texts whose tokens get rows as well.

    Returns:
        OpenAI's id of each row, int32 [K], sorted: row 0 is the padding, the last one EOT, the highest id.
    """
    more = [token for text in extra for token in encode(text)]
    ids = torch.cat([pool.tokens.flatten(), torch.tensor([0, *more], dtype=torch.int32)]).unique()
    pool.tokens = torch.searchsorted(ids, pool.tokens).int()
    return ids
