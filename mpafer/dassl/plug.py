"""Run the train.py of a CoOp, MaPLe or PromptSRC checkout, unmodified, with MPAFER and the FER data sets in it.

    mpafer plug path/to/train.py --trainer MPAFER --root data ...
    mpafer plug --repair-dassl path/to/train.py --trainer CoOp ...     # the checkout's own, on current torch
    mpafer plug --configs                                              # the folder of YAML files for it

All that follows train.py is train.py's. Its own folder is searched for modules first, as without us.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpafer.common.errors import MissingFileError


def parse_args(arguments: Sequence[str] | None = None, prog: str = "mpafer plug") -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configs", action="store_true", help="print the folder of the YAML files, and stop")
    parser.add_argument("--repair-dassl", action="store_true", help="mpafer.repair_dassl() first")
    parser.add_argument("--repair-clip", action="store_true", help="mpafer.repair_clip() first: --backbone takes paths")
    parser.add_argument("runner", type=Path, nargs="?", metavar="train.py", help="the checkout's runner")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="its arguments")
    args = parser.parse_args(arguments)
    if not args.configs and args.runner is None:
        parser.error("name the checkout's train.py")
    return args


def extend_defaults() -> None:
    """Have Dassl's default config come with our keys, and our names in the registries.

    A runner asks for it after all of its imports, so a name that it registers itself stays its own.

    Raises:
        MissingPackageError: Dassl is not installed here.
    """
    from mpafer.dassl.register import dassl_module, extend_cfg

    config, utils = dassl_module("dassl.config"), dassl_module("dassl.utils")
    if os.environ.get("RANK", "0") != "0":
        utils.setup_logger = lambda output=None: None  # torchrun: one process writes log.txt
    original = config.get_cfg_default

    def get_cfg_default() -> Any:
        cfg = original()
        extend_cfg(cfg)
        return cfg

    config.get_cfg_default = get_cfg_default


def main(args: argparse.Namespace) -> None:
    import mpafer
    from mpafer.configs import ROOT

    if args.configs:
        print(ROOT / "dassl")
        return
    if not args.runner.is_file():
        raise MissingFileError(f"no runner {args.runner}: name the train.py of a CoOp, MaPLe or PromptSRC checkout")
    # as for `python train.py`: its folder in place of the current one, which -P leaves out
    sys.path[: 0 if getattr(sys.flags, "safe_path", False) else 1] = [str(args.runner.resolve().parent)]
    sys.argv = [str(args.runner), *args.arguments]
    repairs = [mpafer.repair_dassl] * args.repair_dassl + [mpafer.repair_clip] * args.repair_clip
    for line in (line for repair in repairs for line in repair()):
        print(f"Repaired {line}")
    extend_defaults()
    runpy.run_path(str(args.runner), run_name="__main__")
