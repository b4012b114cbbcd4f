"""Every fast path gives the plain one's numbers, and the controls show that the comparison would see a difference."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from support.models import CLASSES, random_clip
from support.runs import make_trainer, make_world
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import mpafer
from mpafer.clip.layers import Attention, LayerNorm, attend
from mpafer.clip.mlp import MLP
from mpafer.engine.log import LossCheck


def relative(found: Tensor, expected: Tensor) -> float:
    """Norm of the difference over the norm of what is expected."""
    found, expected = found.detach().float(), expected.detach().float()
    return float((found - expected).norm() / expected.norm())


def with_gradients(call: Callable[..., Tensor], *inputs: Tensor) -> list[Tensor]:
    """The output, and the gradients of a fixed weighting of it by every input."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    out = call(*leaves)
    weighting = torch.randn(out.shape, generator=torch.Generator().manual_seed(5)).to(out.dtype)
    return [out.detach(), *torch.autograd.grad(out, leaves, weighting)]


def worst(found: list[Tensor], expected: list[Tensor]) -> float:
    return max(relative(a, b) for a, b in zip(found, expected, strict=True))


# --- layers


def mlp(dtype: torch.dtype = torch.float32) -> MLP:
    torch.manual_seed(0)
    module = MLP(64)
    for parameter in module.parameters():
        parameter.data.mul_(4)
    return module.to(dtype)


def plain_mlp(module: MLP, slope: float = 1.702) -> Callable[[Tensor], Tensor]:
    """OpenAI's formula, step by step."""

    def call(x: Tensor) -> Tensor:
        hidden = module.c_fc(x)
        return module.c_proj(hidden * torch.sigmoid(slope * hidden))

    return call


def test_mlp_is_quick_gelu_between_two_layers():
    x = torch.randn(3, 5, 64)
    expected = with_gradients(plain_mlp(mlp()), x)
    assert worst(with_gradients(mlp(), x), expected) < 1e-6
    assert worst(with_gradients(plain_mlp(mlp(), 1.69), x), expected) > 1e-4  # control: another slope
    low = torch.bfloat16
    fast, plain = (with_gradients(call, x.to(low)) for call in (mlp(low), plain_mlp(mlp(low))))
    assert worst(fast, expected) < 1.2 * worst(plain, expected) < 0.02  # no further from float32 than step by step


@pytest.mark.parametrize("causal", [False, True])
def test_attention_in_bfloat16_has_torchs_gradients(causal):
    torch.manual_seed(0)
    sizes = [(2, 3, 7, 16), (2, 3, 7 if causal else 10, 16), (2, 3, 7 if causal else 10, 16)]
    inputs = [2 * torch.randn(size) for size in sizes]
    low = [tensor.bfloat16() for tensor in inputs]

    def torchs(*inputs: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(*inputs, is_causal=causal)

    expected = with_gradients(torchs, *(tensor.float() for tensor in low))
    fast = with_gradients(lambda *inputs: attend(*inputs, causal=causal), *low)
    assert torch.equal(fast[0], with_gradients(torchs, *low)[0])
    assert worst(fast, expected) < 0.02
    others = with_gradients(lambda *inputs: attend(*inputs, causal=causal), low[0], 1.1 * low[1], low[2])
    assert worst(others, expected) > 0.03  # control


def test_layer_norm_in_bfloat16_has_float32_statistics():
    torch.manual_seed(0)
    norm = LayerNorm(64)
    with torch.no_grad():
        norm.weight.normal_(1, 0.2), norm.bias.normal_()
    x = (3 + torch.randn(4, 9, 64)).bfloat16()

    def through_float32(x: Tensor) -> Tensor:
        return F.layer_norm(x.float(), (64,), norm.weight, norm.bias).to(x.dtype)

    expected = with_gradients(through_float32, x)
    assert worst(with_gradients(norm, x), expected) < 1e-3
    rounded = copy.deepcopy(norm).bfloat16()  # control: weights of x's type
    assert worst(with_gradients(rounded, x), expected) > 1e-3


def test_rows_that_are_not_asked_for_change_nothing():
    torch.manual_seed(0)
    attention, x, extra = Attention(128, 2), torch.randn(3, 6, 128), torch.randn(4, 128)
    whole = attention(x, extra)
    torch.testing.assert_close(attention(x, extra, rows=2), whole[:, :2], atol=1e-6, rtol=1e-5)
    together = torch.cat([x, extra.expand(3, -1, -1)], dim=1)
    torch.testing.assert_close(attention(together)[:, :6], whole, atol=1e-6, rtol=1e-5)
    assert relative(attention(x), whole) > 1e-2  # control: without the extra tokens


@torch.no_grad()
@pytest.mark.parametrize("carried", [False, True])
def test_the_global_feature_needs_no_patches(carried):
    clip, images = random_clip(layers=3), torch.randn(2, 3, 32, 32)
    prompts = list(torch.randn(3, 5, 64))
    feature, patches = clip.visual(images, prompts, carried)
    alone, none = clip.visual(images, prompts, carried, patches=False)
    torch.testing.assert_close(alone, feature, atol=1e-6, rtol=1e-5)
    assert patches.shape == (2, 16, 32) and none.shape == (2, 0, 32)
    assert relative(clip.visual(images, prompts[:1], carried, patches=False)[0], feature) > 1e-2  # control


# --- options


def gradients(model: Any, images: Tensor) -> tuple[Tensor, int]:
    """Of all that learns, and the bytes that the forward kept for the backward."""
    kept: dict[int, int] = {}

    def save(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        losses = model.losses(model(images), torch.arange(len(images)))
        total = torch.stack(list(losses.values())).sum()
    found = torch.autograd.grad(total, list(model.learnable.values()))
    return torch.cat([gradient.flatten() for gradient in found]), sum(kept.values())


@pytest.mark.parametrize("precision", ["fp32", "bf16", "amp"])
@pytest.mark.parametrize("method", ["MPAFER", "MaPLe"])
def test_checkpointing_gives_the_same_gradients_from_less_memory(method, precision):
    options = {"top_k": 4} if method == "MPAFER" else {"prompt_depth": 3}
    model = mpafer.build_model(method, random_clip(layers=4), CLASSES, prec=precision, **options)
    images = torch.randn(4, 3, 32, 32)
    plain, whole = gradients(model, images)
    model.clip.checkpoint_activations()
    again, less = gradients(model, images)
    assert torch.equal(plain, again) and less < 0.75 * whole
    assert not torch.equal(plain, gradients(model, images + 1e-2)[0])  # control


def test_without_a_compiler_the_towers_run_as_they_are(monkeypatch, caplog):
    clip, images = random_clip(), torch.randn(2, 3, 32, 32)
    expected = clip.encode_image(images)

    def fails(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no C++ compiler\nand a long story")

    monkeypatch.setattr(torch, "compile", fails)
    with caplog.at_level(logging.WARNING, logger="mpafer"):
        assert not clip.compile_blocks()
    assert caplog.messages == [
        "torch.compile does not work here, the towers run as they are: RuntimeError: no C++ compiler"
    ]
    assert torch.equal(clip.encode_image(images), expected)


@pytest.mark.slow
def test_compiled_blocks_give_the_same_gradients():
    model = mpafer.build_model("MPAFER", random_clip(layers=2), CLASSES, top_k=4)
    images = torch.randn(4, 3, 32, 32)
    plain = gradients(model, images)[0]
    if not model.clip.compile_blocks():
        pytest.skip("no compiler here")
    assert 0 < relative(gradients(model, images)[0], plain) < 1e-5  # 0 would mean that nothing was compiled


# --- the host does not wait for the device


class Reads(TorchDispatchMode):
    """Counts how often Python looks at a number in a tensor."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_a_step_reads_no_number(tmp_path: Path):
    trainer = make_trainer(make_world(tmp_path, train=1), tmp_path / "out", "MPAFER")
    trainer.num_batches = 1  # the step is an epoch's last one too
    with Reads() as reads:
        trainer.step({"img": torch.randn(4, 3, 96, 96), "label": torch.arange(4)})
        assert reads.count == 0
        trainer.loss_check.raise_if_broken()
        assert reads.count == 1  # control


def test_a_loss_looked_at_later_is_still_named():
    check = LossCheck()
    for batch, value in enumerate((1.0, float("inf"), float("nan")), start=1):
        terms = {"ce_loss": torch.tensor(value), "text_loss": torch.tensor(0.5)}
        check.add(f"epoch [1/2] batch [{batch}/9]", torch.tensor(value), terms)
    with pytest.raises(FloatingPointError, match=r"epoch \[1/2\] batch \[2/9\]: ce_loss=inf, text_loss=0.5"):
        check.raise_if_broken()
    check.raise_if_broken()  # told once
    check.add("epoch [2/2] batch [1/9]", torch.tensor(1.0), {})
    check.raise_if_broken()
