"""Run the pinned upstream trainers on random CLIPs and write what they compute; README.md beside this says how.

    python tests/golden/make_golden.py --coop DIR --maple DIR --promptsrc DIR --kgcoop DIR --dassl DIR [--method NAME]

Every case runs in a process of its own: the checkouts' packages have the same names, and some keep state.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import torch
from cases import CASES, NAMES, OPTIM, SIZES, STEPS, Case, batch, clip_state, digest, start
from torch import Tensor, nn

HERE = Path(__file__).parent
REPOSITORIES = {
    "coop": ("KaiyangZhou/CoOp", "ff61507c790454bce7c5052c3ac39e60772f1f89"),
    "maple": ("muzairkhattak/multimodal-prompt-learning", "69bce21ae8eda80ad6187534b2dce09cf6c59e17"),
    "promptsrc": ("muzairkhattak/PromptSRC", "bb95c77b634d63488f2cad81ff4a72d53bdd06d5"),
    "kgcoop": ("htyao89/KgCoOp", "c43ccc32c8739f64b165cfa205fcc6c0f5bb5b17"),
    "dassl": ("KaiyangZhou/Dassl.pytorch", "c61a1b570ac6333bd50fb5ae06aea59002fb20bb"),
}
# method -> checkout, config node, module with its trainer
METHODS = {
    "CoOp": ("coop", "COOP", "coop"),
    "CoCoOp": ("coop", "COCOOP", "cocoop"),
    "VPT": ("maple", "VPT", "vpt"),
    "IVLP": ("maple", "IVLP", "independentVL"),
    "MaPLe": ("maple", "MAPLE", "maple"),
    "KgCoOp": ("kgcoop", "COOP", "kgcoop"),
    "PromptSRC": ("promptsrc", "PROMPTSRC", "promptsrc"),
    "ZeroshotCLIP": ("coop", "", "zsclip"),
    "ZeroshotCLIP2": ("coop", "", "zsclip"),
}
HOW = [
    "upstream's trainer class, unmodified, on the CPU in float32: Tensor.half, Module.half, Tensor.cuda and "
    "Module.cuda do nothing while it runs",
    "weights enter through clip.clip._MODELS and clip.clip._download, as a plain state dict",
    "build_data_loader gives the class names; forward_backward gets one batch an epoch, drawn by cases.py",
    "Dassl's imports of wilds and pandas meet empty modules; torch's scheduler base is given what its signature "
    "has, without `verbose`",
    "learnables start from cases.py, but the context from CTX_INIT where `words` is true",
    "`gradients`: of the first step; `updates`: learnables after 3 steps minus before; `average`: PromptSRC's after "
    "its last epoch, minus before; `losses`: of the first step, as upstream weights them",
]
PATCHED = "the constants 768 and 512 of trainers/maple.py are read as this CLIP's widths, in memory; nothing else is"


# --- one case, in its own process


def stub(name: str, **members: Any) -> None:
    """Enter an empty module under ``name``."""
    module = types.ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    vars(module).update(members)
    sys.modules[name] = module


def prepare_torch() -> None:
    """True float32 on the CPU, and a scheduler base that accepts ``verbose``."""

    def same(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self

    for owner in (torch.Tensor, nn.Module):
        for name in ("half", "cuda"):
            setattr(owner, name, same)
    scheduler: Any = torch.optim.lr_scheduler._LRScheduler
    init = scheduler.__init__

    def accept(self: Any, optimizer: Any, last_epoch: int = -1, verbose: bool = False) -> None:
        init(self, optimizer, last_epoch)

    scheduler.__init__ = accept


def read_patched(path: Path, case: Case) -> None:
    """Enter upstream's MaPLe with this CLIP's widths instead of its two constants."""
    size = SIZES[case.size]
    text = path.read_text()
    for constant, width in (("768", size.vision_width), ("512", size.text_width)):
        text = re.sub(rf"(?<=[ (,]){constant}\)", f"{width})", text)
    module = types.ModuleType("trainers.maple")
    sys.modules[module.__name__] = module
    exec(compile(text, str(path), "exec"), vars(module))


def build_trainer(method: str, case: Case, checkout: Path, weights: Path) -> Any:
    """Upstream's trainer of the case, its model built."""
    if method == "MaPLe" and case.size != "C":
        read_patched(checkout / "trainers" / "maple.py", case)
    from clip import clip
    from dassl.config import get_cfg_default
    from dassl.engine import TRAINER_REGISTRY

    import train

    torch.save(clip_state(case.size), weights)
    clip._MODELS["random"] = str(weights)
    clip._download = lambda url: url
    cfg = get_cfg_default()
    train.extend_cfg(cfg)
    side = SIZES[case.size].image
    cfg.INPUT.SIZE = (side, side)
    cfg.DATASET.NAME = case.dataset
    cfg.MODEL.BACKBONE.NAME = "random"
    cfg.TRAINER.NAME = method
    for key, value in (OPTIM | case.optim).items():
        cfg.OPTIM[key] = value
    node = METHODS[method][1]
    if node:
        cfg.TRAINER[node].PREC = "fp32"
        for key, value in case.options.items():
            if key != "template":
                assert key.upper() in cfg.TRAINER[node], f"upstream has no {key.upper()}"
                cfg.TRAINER[node][key.upper()] = value
    if method == "KgCoOp":
        cfg.TRAINER.COCOOP.PREC = "fp32"  # it reads this one too
    cls = TRAINER_REGISTRY.get(method)

    def build_data_loader(self: Any) -> None:
        names = NAMES[case.names]
        self.dm = types.SimpleNamespace(dataset=types.SimpleNamespace(classnames=names))
        self.num_classes, self.lab2cname = len(names), dict(enumerate(names))

    cls.build_data_loader = build_data_loader
    return cls(cfg)


def learnables(method: str, model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Our names -> upstream's parameters; several where ours is a stack of theirs."""
    parameters = dict(model.named_parameters())
    found: dict[str, list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        if not parameter.requires_grad:
            continue
        if name == "prompt_learner.ctx":
            ours = "text.ctx"
        elif name.startswith("prompt_learner.meta_net."):
            ours = "text" + name.removeprefix("prompt_learner")
        elif name.startswith("prompt_learner.proj."):
            ours = "visual.projections.0." + name.rsplit(".")[-1]
        elif name.startswith("prompt_learner.compound_prompt_projections."):
            _, _, index, kind = name.split(".")
            ours = f"visual.projections.{int(index) + 1}.{kind}"
        elif name.startswith(("prompt_learner.compound_prompts_text.", "text_encoder.")):
            ours = "deep_text.prompts"
        elif name.startswith("image_encoder."):
            ours = "visual.prompts"
        else:
            raise ValueError(f"{method} learns {name}")
        found.setdefault(ours, []).append(parameter)
    return found


def value(name: str, parameters: list[Any]) -> Tensor:
    """Upstream's tensors in our shape."""
    stacked = name in ("deep_text.prompts", "visual.prompts")
    return (torch.stack(parameters) if stacked else parameters[0]).detach().clone()


@contextmanager
def recorded(*names: str) -> Iterator[dict[str, list[Tensor]]]:
    """What the named functions of torch.nn.functional return, in order, while upstream calls them."""
    functional: Any = nn.functional
    seen: dict[str, list[Tensor]] = {name: [] for name in names}
    real = {name: getattr(functional, name) for name in names}

    def spy(name: str) -> Callable[..., Tensor]:
        def call(*args: Any, **kwargs: Any) -> Tensor:
            result = real[name](*args, **kwargs)
            seen[name].append(result.detach())
            return result

        return call

    for name in names:
        setattr(functional, name, spy(name))
    try:
        yield seen
    finally:
        for name in names:
            setattr(functional, name, real[name])


def loss_terms(method: str, case: Case, total: float, seen: dict[str, list[Tensor]]) -> dict[str, float]:
    """The terms upstream added up; the last one is what the others leave of its own total."""
    terms = {"ce_loss": float(seen["cross_entropy"][0])}
    if method == "KgCoOp":
        terms["knowledge_loss"] = total - terms["ce_loss"]
    if method == "PromptSRC":
        text, image = seen["l1_loss"]
        terms["text_loss"] = float(text) * case.options["text_loss_weight"]
        terms["image_loss"] = float(image) * case.options["image_loss_weight"]
        terms["logits_loss"] = total - sum(terms.values())
    return terms | {"total": total}


def run_case(method: str, case: Case, checkout: Path, weights: Path) -> dict[str, Any]:
    """All that is compared of a case."""
    trainer = build_trainer(method, case, checkout, weights)
    images, labels = batch(case)
    if not METHODS[method][1]:
        return {"logits": trainer.model_inference(images).tolist()}
    parameters = learnables(method, trainer.model)
    with torch.no_grad():
        for name, theirs in parameters.items():
            if case.words and name == "text.ctx":
                continue
            values = start(case, name, tuple(value(name, theirs).shape))
            for parameter, part in zip(theirs, values if len(theirs) > 1 else [values.view_as(theirs[0])], strict=True):
                parameter.copy_(part)
    before = {name: value(name, theirs) for name, theirs in parameters.items()}
    trainer.set_model_mode("eval")
    with torch.no_grad():
        found: dict[str, Any] = {"logits": trainer.model_inference(images).tolist()}

    def epoch() -> float:
        trainer.set_model_mode("train")
        trainer.batch_idx, trainer.num_batches = 0, 1
        return trainer.forward_backward({"img": images, "label": labels})["loss"]

    def updates() -> dict[str, Any]:
        return {name: digest(value(name, theirs) - before[name]) for name, theirs in parameters.items()}

    with recorded("cross_entropy", "l1_loss") as seen:
        total = epoch()
    found["losses"] = loss_terms(method, case, total, seen)
    found["gradients"] = {
        name: digest(value(name, [parameter.grad for parameter in theirs])) for name, theirs in parameters.items()
    }
    for _ in range(STEPS - 1):
        epoch()
    found["updates"] = updates()
    if method == "PromptSRC":
        for _ in range(OPTIM["MAX_EPOCH"] - STEPS):
            epoch()
        found["average"] = updates()
    return found


def child(method: str, name: str, checkout: Path, dassl: Path, folder: Path) -> None:
    """Run one case and leave its JSON in ``folder``."""
    stub("wilds", get_dataset=None)
    stub("pandas")
    sys.path[:0] = [str(checkout), str(dassl)]
    prepare_torch()
    found = run_case(method, CASES[method][name], checkout, folder / "weights.pt")
    (folder / "found.json").write_text(json.dumps(found))


# --- all cases


def commit(folder: Path, key: str) -> str:
    """The checkout's commit; anything but the pinned one, unchanged, is an error."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    found = git("rev-parse", "HEAD")
    if found != REPOSITORIES[key][1]:
        raise SystemExit(f"--{key} is at {found}, expected {REPOSITORIES[key][1]}")
    if changed := git("diff", "--name-only", "HEAD"):
        raise SystemExit(f"--{key} has changed files: {changed}")
    return found


def rounded(item: Any) -> Any:
    """Floats to eight digits."""
    if isinstance(item, float):
        return float(f"{item:.8g}")
    if isinstance(item, dict):
        return {key: rounded(value) for key, value in item.items()}
    return [rounded(value) for value in item] if isinstance(item, list) else item


def write(path: Path, content: dict[str, Any]) -> None:
    """JSON with lists of numbers on one line."""
    text = json.dumps(rounded(content), indent=1)
    text = re.sub(r"\[[^][{}\"]*\]", lambda match: " ".join(match[0].split()), text)
    path.write_text(text + "\n")


def make(method: str, folders: dict[str, Path]) -> None:
    """Write the golden file of a method."""
    key = METHODS[method][0]
    content: dict[str, Any] = {
        "upstream": REPOSITORIES[key][0],
        "commit": commit(folders[key], key),
        "dassl": commit(folders["dassl"], "dassl"),
        "torch": torch.__version__,
        "how": HOW,
        "optim": OPTIM,
        "cases": {},
    }
    for name, case in CASES[method].items():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--run", method, name, "--folder", folder]
            command += ["--checkout", str(folders[key]), "--dassl", str(folders["dassl"])]
            environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"{method} {name}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
            found = json.loads((Path(folder) / "found.json").read_text())
        header = vars(case) | {"size": {"name": case.size, **vars(SIZES[case.size])}, "names": NAMES[case.names]}
        if method == "MaPLe" and case.size != "C":
            header["patched"] = PATCHED
        content["cases"][name] = header | found
        print(method, name)
    write(HERE / f"{method.lower()}.json", content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for key, (repository, pin) in REPOSITORIES.items():
        parser.add_argument(f"--{key}", type=Path, help=f"checkout of {repository} at {pin[:7]}")
    parser.add_argument("--method", choices=METHODS, help="only this one")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--checkout", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        child(*args.run, args.checkout, args.dassl, args.folder)
        return
    folders = {key: getattr(args, key) for key in REPOSITORIES}
    methods = [args.method] if args.method else list(METHODS)
    for key in {"dassl", *(METHODS[method][0] for method in methods)}:
        if folders[key] is None:
            parser.error(f"--{key} is missing")
    for method in methods:
        make(method, {key: folder.resolve() for key, folder in folders.items() if folder})


if __name__ == "__main__":
    main()
