"""How far a file's answers are from torch's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mpafer.common.errors import ExportError
from mpafer.inference.onnx_file import OnnxFile
from mpafer.prompting.model import FrozenClip

BATCHES = (1, 3, 8)  # images at a time
LIMIT = 1e-4  # of a logit


@dataclass(frozen=True)
class Parity:
    """The largest absolute differences over all images and classes."""

    logits: float
    probabilities: float
    images: int

    def __str__(self) -> str:
        sizes = ", ".join(map(str, BATCHES))
        return (
            f"largest difference from torch over {self.images} random images in batches of {sizes}: "
            f"{self.logits:.1e} in a logit, {self.probabilities:.1e} in a probability"
        )


@torch.no_grad()
def parity(model: FrozenClip, file: OnnxFile) -> Parity:
    """Compare a file with the model, on the CPU, over batches of several sizes.

    The images are noise from a generator of their own: no other random number changes.

    Raises:
        ExportError: a logit differs by more than LIMIT, or is not finite.
    """
    generator = torch.Generator().manual_seed(0)
    logits, probabilities = [], []
    for batch in BATCHES:
        images = torch.randn(batch, 3, file.size, file.size, generator=generator)
        expected = model(images).logits
        logits.append(np.abs(file.logits(images.numpy()) - expected.numpy()).max())
        theirs = file.probabilities(images.numpy())
        probabilities.append(np.abs(theirs - expected.softmax(dim=1).numpy()).max())
    found = Parity(float(max(logits)), float(max(probabilities)), sum(BATCHES))
    if not max(logits) <= LIMIT:  # NaN is no less
        raise ExportError(f"{found}; more than {LIMIT:.0e} is no export, and no file was written")
    return found
