"""The tiny CLIP's file, and its zero-shot accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from pool import encode
from safetensors.torch import save_file
from torch import Tensor

from mpafer.prompting.descriptions import load_descriptions
from mpafer.prompting.teachers import hard_prompts
from mpafer.sketch.units import CLASSES

if TYPE_CHECKING:
    from trainee import TinyClipTrainee

PRETRAINED_ON = "painted faces with free captions (tools/tiny_clip/pool.py), none of them from SketchFER"


def class_prompts() -> dict[str, list[str]]:
    """Kind of hard prompt -> one prompt for each class, in three granularities."""
    kinds = {"name": 1, "expression of name": 2, "with description": 3}
    table = load_descriptions()  # has one text a class
    return {kind: [text for (text,) in hard_prompts(CLASSES, table, number)] for kind, number in kinds.items()}


@torch.no_grad()
def zero_shot(model: TinyClipTrainee, tokens: Tensor, images: Tensor, labels: Tensor) -> Iterator[str]:
    """One line of accuracy and mean recall, in percent, for each kind of prompt.

    Args:
        model: the pretrained towers.
        tokens: OpenAI's ids [K] of the rows of the model's token embedding.
        images: unit features [B, D].
        labels: [B].
    """
    for kind, prompts in class_prompts().items():
        ids = [torch.searchsorted(tokens, torch.tensor(encode(text), dtype=torch.int32)) for text in prompts]
        rows = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
        right = (images @ model.texts(rows, rows.argmax(dim=1)).T).argmax(dim=1) == labels
        recall = torch.stack([right[labels == c].float().mean() for c in labels.unique()]).mean()
        yield f"{kind}: {100 * right.float().mean():.1f} % (mean recall {100 * recall:.1f})"


def write_asset(path: Path, model: TinyClipTrainee, tokens: Tensor, scale: float, seed: int) -> None:
    """Write the towers with OpenAI's tensor names in fp16; of the token embedding only the rows of `tokens`.

    Args:
        path: the safetensors file.
        model: the pretrained towers.
        tokens: OpenAI's ids [K] of the embedding's rows; the file has them as `token_ids`.
        scale: factor of the logits.
        seed: the pretraining's, for the file's metadata.
    """
    visual = {f"visual.{name}": value for name, value in model.visual.state_dict().items()}
    state = visual | model.text.state_dict() | {"logit_scale": torch.tensor(scale).log()}
    tensors = {name: value.half().contiguous() for name, value in state.items()} | {"token_ids": tokens.int()}
    note = {"format": "mpafer-tiny", "pretrained_on": PRETRAINED_ON, "seed": str(seed),
            "script": "python tools/tiny_clip/pretrain.py"}  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata=note)
    part.chmod(0o644)
    part.replace(path)
