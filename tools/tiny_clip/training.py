"""Training of the tiny CLIP; pretrain.py explains it and is the command."""

from __future__ import annotations

import argparse
import logging
import time
from itertools import chain
from pathlib import Path

import torch
import torch.nn.functional as F
from asset import class_prompts, write_asset, zero_shot
from captions import EMOTION_WORDS, SPARE_TEXT
from pool import Pool, compact_tokens, draw_shifted, load_pool
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from trainee import TinyClipTrainee, augment, contrast, image_features, pick_captions

from mpafer.sketch.units import UNITS

logger = logging.getLogger(__name__)

SCALE = 100.0  # of the logits, as CLIP's at the end of its training
HOLD_OUT = 2000  # faces of the pool that are not trained on
SHIFTED = 1500  # faces in SketchFER's style that show progress
VISION_SHARE = 0.82  # of the minutes


class Clock:
    """Minutes spent of a budget, the schedule's only variable."""

    def __init__(self, minutes: float, spent: float = 0.0) -> None:
        self.seconds, self.start = 60 * minutes, time.monotonic() - 60 * spent

    @property
    def share(self) -> float:
        return min((time.monotonic() - self.start) / self.seconds, 1.0)

    def rate(self, peak: float) -> float:
        """The learning rate now: linear warm-up over 3 % of the time, then a cosine from `peak` to zero."""
        share = self.share
        return peak * min(share / 0.03 + 0.01, 0.5 + 0.5 * float(torch.cos(torch.tensor(torch.pi * share))))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def train_vision(
    model: TinyClipTrainee,
    pool: Pool,
    minutes: float,
    state: Path,
    batch: int,
    generator: torch.Generator,
    compiled: bool,
) -> None:
    """Stage 1: the vision tower and the head; the first half of the time on the easier faces only."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    spent, step, seen = 0.0, 0, 0
    if state.exists():
        saved = torch.load(state, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        spent, step = saved["spent"], saved["step"]
        generator.manual_seed(generator.initial_seed() + step)  # otherwise the first batches would come again
        logger.info("stage 1 goes on after %.1f minutes", spent)
    see = torch.compile(model.visual) if compiled else model.visual
    clock, mark = Clock(minutes, spent), time.monotonic()
    easy, everything = pool.easy.nonzero()[:, 0], torch.arange(len(pool))
    targets = torch.cat([pool.units, pool.traits], dim=1)
    weight = torch.cat([torch.ones(len(UNITS)), torch.full((pool.traits.shape[1],), 0.15)])
    while clock.share < 1:
        candidates = easy if clock.share < 0.5 else everything
        index = candidates[torch.randint(len(candidates), (batch,), generator=generator)]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            image, patches = see(augment(pool.images[index], generator))
            losses = [
                share
                * (weight * F.binary_cross_entropy_with_logits(model.read(z), targets[index], reduction="none")).mean()
                for share, z in ((1.0, image), (0.3, patches.mean(1)))
            ]
            if step % 2:
                half = index[: batch // 2]  # contrast costs more than the head
                texts = model.texts(*pick_captions(pool, half, generator))
                losses.append(0.03 * contrast(F.normalize(image[: len(half)].float(), dim=-1), texts, 20.0))
        set_rate(optimizer, clock.rate(1.2e-3))
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step, seen = step + 1, seen + batch
        if time.monotonic() - mark > 120 or clock.share >= 1:
            rate, mark, seen = seen / (time.monotonic() - mark), time.monotonic(), 0
            shown = " ".join(f"{float(v.detach()):.4f}" for v in losses)
            logger.info("stage 1: %.2f of the time, step %d, %.0f images/s, losses %s", clock.share, step, rate, shown)
            save_state(state, model, optimizer, clock.share * minutes, step)


def save_state(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, spent: float, step: int) -> None:
    """Write what stage 1 needs to go on; `spent` in minutes."""
    part = path.with_suffix(".part")
    whole = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "spent": spent, "step": step}
    torch.save(whole, part)
    part.replace(path)


def train_text(model: TinyClipTrainee, pool: Pool, minutes: float, batch: int, generator: torch.Generator) -> None:
    """Stage 2: the text tower alone against the frozen vision tower, two augmented views a face."""
    model.visual.requires_grad_(False)
    clock = Clock(minutes)
    views = torch.stack([image_features(model, pool.images, generator) for _ in range(2)])
    optimizer = torch.optim.AdamW(model.text.parameters(), lr=1e-3, weight_decay=0.05)
    mark, steps = time.monotonic(), 0
    while clock.share < 1:
        index = torch.randint(len(pool), (batch,), generator=generator)
        rows, eot = pick_captions(pool, index, generator)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            text = model.texts(rows, eot)
        view = torch.randint(2, (batch,), generator=generator)
        loss = contrast(views[view, index], text, SCALE)
        set_rate(optimizer, clock.rate(1.2e-3))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.text.parameters(), 1.0)
        optimizer.step()
        steps += 1
        if time.monotonic() - mark > 60 or clock.share >= 1:
            rate, mark, steps = steps * batch / (time.monotonic() - mark), time.monotonic(), 0
            logger.info("stage 2: %.2f of the time, %.0f pairs/s, loss %.4f", clock.share, rate, loss.item())


def report(model: TinyClipTrainee, tokens: Tensor, held: Pool) -> None:
    """Log the zero-shot accuracy on held-out faces, and on faces in SketchFER's style of another seed."""
    known = held.emotion >= 0
    draws = {
        "pretraining family": (held.images[known], held.emotion[known]),
        "SketchFER style": draw_shifted(SHIFTED),
    }
    for name, (images, labels) in draws.items():
        for line in zero_shot(model, tokens, image_features(model, images), labels):
            logger.info("zero-shot, %s: %s", name, line)


def pretrain(args: argparse.Namespace) -> None:
    """Draw the faces, train both stages, log the accuracy and write the file; `args` are the command's."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    args.state.mkdir(parents=True, exist_ok=True)

    pool = load_pool(args.state, args.seed, args.images, args.workers)
    texts = [*SPARE_TEXT.split(), *chain(*EMOTION_WORDS.values()), *chain(*class_prompts().values())]
    tokens = compact_tokens(pool, texts)
    held, pool = pool[-HOLD_OUT:], pool[:-HOLD_OUT]
    logger.info("%d faces, %d tokens", len(pool), len(tokens))
    model = TinyClipTrainee(tokens, pool.traits.shape[1])
    vision, text = VISION_SHARE * args.minutes, (1 - VISION_SHARE) * args.minutes
    with sdpa_kernel(SDPBackend.MATH):  # for few tokens its backward is the fastest on CPUs
        train_vision(model, pool, vision, args.state / f"vision-{args.seed}.pt", args.batch, generator, args.compile)
        train_text(model, pool, text, 4 * args.batch, generator)
    report(model, tokens, held)
    write_asset(args.out, model, tokens, SCALE, args.seed)
