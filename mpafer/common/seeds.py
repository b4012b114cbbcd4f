"""Seeds of a run, and seeds made from them."""

from __future__ import annotations

import random
import secrets

import numpy as np
import torch

from mpafer.common import distributed
from mpafer.common.errors import OptionError


def set_random_seed(seed: int) -> None:
    """Seed Python, NumPy and torch; 0 is a seed like any other, a negative one is an error."""
    if seed < 0:
        raise OptionError(f"seed {seed}: expected 0 or more; leave a run unseeded instead of passing a negative seed")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # every device


def derive_seed(*keys: int) -> int:
    """A seed that depends on all keys and their order; put a constant first to keep streams apart."""
    return int(np.random.SeedSequence(keys).generate_state(1)[0])


def draw_run_seed() -> int:
    """A fresh seed for a run without one, the same on all ranks."""
    return distributed.from_main(secrets.randbits(31))
