"""Train and test one run: CoOp's flags, any method and data set by name.

    mpafer train --root data --seed 1 --trainer MPAFER --dataset-config-file configs/datasets/sketchfer.yaml \
        --config-file configs/trainers/MPAFER/tiny.yaml --output-dir output/first DATASET.NUM_SHOTS 16

Several processes: ``torchrun --nproc-per-node 2 train.py ...``, same arguments; the batch is divided among them.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yacs.config import CfgNode


def parse_args(arguments: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    """CoOp's flags, and KEY VALUE pairs."""
    parser = argparse.ArgumentParser(prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    text = {
        "root": "folder of the data sets",
        "output-dir": "folder of the results; an unfinished run in it is resumed",
        "resume": "folder of the run to resume, where it is not --output-dir",
        "config-file": "YAML of the method",
        "dataset-config-file": "YAML of the data set",
        "trainer": "name of the method",
        "backbone": "CLIP by name (ViT-B/16, tiny) or path",
        "head": "not used here; kept for CoOp's command lines",
        "model-dir": "run whose checkpoint --eval-only loads",
    }
    for name, help_text in text.items():
        parser.add_argument(f"--{name}", type=str, default="", help=help_text)
    parser.add_argument("--seed", type=int, default=-1, help="0 and above; below, one is drawn and kept with the run")
    parser.add_argument("--load-epoch", type=int, help="epoch that --eval-only loads; default: the best, else the last")
    for name in ("source-domains", "target-domains", "transforms"):
        parser.add_argument(f"--{name}", type=str, nargs="+", help="as in Dassl")
    parser.add_argument(
        "--import", action="append", dest="imports", default=[], metavar="NAME",
        help="a module or a .py file with methods or data sets of your own; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--force", action="store_true",
        help="where OUTPUT_DIR holds a run of other options or data, move that aside and begin anew; with --eval-only, "
        "evaluate with other options than the run had",
    )  # fmt: skip
    parser.add_argument("--eval-only", action="store_true", help="evaluate, do not train")
    parser.add_argument("--no-train", action="store_true", help="build everything, do not train")
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="config options as KEY VALUE pairs")
    return parser.parse_args(arguments)


def setup_cfg(args: argparse.Namespace) -> CfgNode:
    """Defaults, then data set, method, flags and KEY VALUE pairs, each over the one before."""
    from mpafer.run_config import run_config

    flags = {
        "SEED": args.seed,
        "DATASET.ROOT": args.root,
        "OUTPUT_DIR": args.output_dir,
        "RESUME": args.resume,
        "DATASET.SOURCE_DOMAINS": args.source_domains,
        "DATASET.TARGET_DOMAINS": args.target_domains,
        "INPUT.TRANSFORMS": args.transforms,
        "TRAINER.NAME": args.trainer,
        "MODEL.BACKBONE.NAME": args.backbone,
        "MODEL.HEAD.NAME": args.head,
    }
    given = {key: value for key, value in flags.items() if value or key == "SEED"}
    return run_config(dataset=args.dataset_config_file, method_file=args.config_file, flags=given, pairs=args.opts)


def main(args: argparse.Namespace) -> None:
    from mpafer.common import distributed
    from mpafer.common.errors import OptionError
    from mpafer.common.extensions import keep_imports
    from mpafer.common.files import make_folder
    from mpafer.engine.holding import held
    from mpafer.engine.saving import checkpoint_folder

    keep_imports(args.imports)
    cfg = setup_cfg(args)
    for key, flag in (("TRAINER", "--trainer"), ("DATASET", "--dataset-config-file")):
        if not cfg[key].NAME:
            raise OptionError(f"{key}.NAME is empty: name it by {flag}")
    if args.eval_only and checkpoint_folder(cfg.OUTPUT_DIR).is_dir() and cfg.OUTPUT_DIR:
        raise OptionError(f"{cfg.OUTPUT_DIR} holds a run, whose results would be lost: name another --output-dir")
    make_folder(cfg.OUTPUT_DIR, "--output-dir")
    distributed.init(cfg.USE_CUDA)
    with held(cfg.OUTPUT_DIR):
        run(args, cfg)
    distributed.shutdown()


def run(args: argparse.Namespace, cfg: CfgNode) -> None:
    """Train and test, or only test; OUTPUT_DIR is this run's alone."""
    from mpafer.common import distributed
    from mpafer.common.seeds import set_random_seed
    from mpafer.common.versions import package_version
    from mpafer.engine.log import collect_env_info, setup_logger
    from mpafer.engine.replaced import refuse_another, set_aside_another
    from mpafer.engine.run_seed import run_seed
    from mpafer.run_config import find_method

    if cfg.SEED < 0:
        cfg.SEED = run_seed(cfg.OUTPUT_DIR)
    cfg.freeze()
    set_random_seed(cfg.SEED)
    setup_logger(cfg.OUTPUT_DIR)
    logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(name)s: %(message)s", force=True)
    logging.getLogger("mpafer").setLevel(logging.INFO)
    ranks = distributed.world_size()
    print(f"** Config **\n{cfg}\n\n** Runner **\nmpafer {package_version('mpafer')}, processes: {ranks}\n")
    print(f"** System info **\n{collect_env_info()}\n")
    trainer = find_method(cfg.TRAINER.NAME)(cfg, eval_only=args.eval_only)
    trainer.force = args.force
    if args.eval_only:
        trainer.load_model(os.path.expanduser(args.model_dir), epoch=args.load_epoch)
    if distributed.is_main():
        (set_aside_another if args.force else refuse_another)(trainer)
    distributed.barrier()
    if args.eval_only:
        trainer.test()
    elif not args.no_train:
        trainer.train()
