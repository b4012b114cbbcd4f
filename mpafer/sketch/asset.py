"""The tiny CLIP as a file, and its zero-shot accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from torch import Tensor

from mpafer.prompting.descriptions import load_descriptions
from mpafer.prompting.teachers import hard_prompts

from .pool import encode
from .units import CLASSES

if TYPE_CHECKING:
    from .students import Students

PRETRAINED_ON = "painted faces with free captions (mpafer.sketch.pool), none of them SketchFER's"


def class_prompts() -> dict[str, list[str]]:
    """The three granularities of hard prompt, a list over the classes for each."""
    descriptions = load_descriptions()
    return {
        "name": hard_prompts(CLASSES, descriptions, 1),
        "expression of name": hard_prompts(CLASSES, descriptions, 2),
        "with description": hard_prompts(CLASSES, descriptions, 3),
    }


@torch.no_grad()
def zero_shot(model: Students, tokens: Tensor, images: Tensor, labels: Tensor) -> Iterator[str]:
    """Accuracy and mean recall (percent) for each kind of prompt; `images` are unit features [B, D]."""
    for kind, prompts in class_prompts().items():
        ids = [torch.searchsorted(tokens, torch.tensor(encode(text), dtype=torch.int32)) for text in prompts]
        rows = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
        right = (images @ model.texts(rows, rows.argmax(dim=1)).T).argmax(dim=1) == labels
        recall = torch.stack([right[labels == c].float().mean() for c in labels.unique()]).mean()
        yield f"{kind}: {100 * right.float().mean():.1f} % (mean recall {100 * recall:.1f})"


def write_asset(path: Path, model: Students, tokens: Tensor, scale: float, seed: int) -> None:
    """OpenAI's tensor names in fp16; of the token embedding only the rows that occur, ids in `token_ids`."""
    visual = {f"visual.{name}": value for name, value in model.visual.state_dict().items()}
    state = visual | model.text.state_dict() | {"logit_scale": torch.tensor(scale).log()}
    tensors = {name: value.half().contiguous() for name, value in state.items()} | {"token_ids": tokens.int()}
    note = {"format": "mpafer-tiny", "pretrained_on": PRETRAINED_ON, "seed": str(seed),
            "script": "python -m mpafer.sketch.pretrain"}  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata=note)
    part.chmod(0o644)
    part.replace(path)
