"""MPA-FER: multimodal prompt alignment for facial expression recognition over a frozen CLIP.

In Python: `load_clip`, `build_model`, `class_prototypes`, `save` and `load`, `load_run`, `Predictor` and `methods`. In
a runner on Dassl two lines: ``import mpafer`` and ``mpafer.extend_cfg(cfg)``, which adds our config keys and enters
MPAFER and the data sets in Dassl's registries; `mpafer.dassl.plug` does both for a runner that is left as it is.
`repair_dassl` and `repair_clip` are for the runner's own methods, where one calls them. Importing has no side effect.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mpafer.build import build_model
    from mpafer.clip import load_clip
    from mpafer.dassl.register import extend_cfg
    from mpafer.dassl.repair import repair_clip, repair_dassl
    from mpafer.export import export_onnx
    from mpafer.inference.kept import load, save
    from mpafer.inference.predictor import Predictor
    from mpafer.inference.saved import load_run
    from mpafer.prompting.teachers import class_prototypes
    from mpafer.run_config import methods

    __version__: str

__all__ = [
    "Predictor", "__version__", "build_model", "class_prototypes", "export_onnx", "extend_cfg", "load", "load_clip",
    "load_run", "methods", "repair_clip", "repair_dassl", "save",
]  # fmt: skip
_LAZY = {  # torch is imported on first use only
    "Predictor": "mpafer.inference.predictor",
    "build_model": "mpafer.build",
    "class_prototypes": "mpafer.prompting.teachers",
    "export_onnx": "mpafer.export",
    "extend_cfg": "mpafer.dassl.register",
    "load": "mpafer.inference.kept",
    "load_clip": "mpafer.clip",
    "load_run": "mpafer.inference.saved",
    "methods": "mpafer.run_config",
    "repair_clip": "mpafer.dassl.repair",
    "repair_dassl": "mpafer.dassl.repair",
    "save": "mpafer.inference.kept",
}


if importlib.util.find_spec("mpafer.datasets") is None:  # the checkout's folder hides the installed package
    raise ImportError(
        f"{__path__[0]} is the source, which works only where it is installed as such: pip install -e ., or start from "
        "another folder"
    )


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from mpafer.common.versions import package_version

        return package_version("mpafer")
    if name not in _LAZY:
        raise AttributeError(f"module 'mpafer' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
