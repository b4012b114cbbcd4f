"""The runner: CoOp's flags, any method and data set by name.

    python train.py --root data --seed 1 --trainer MPAFER --dataset-config-file configs/datasets/sketchfer.yaml \
        --config-file configs/trainers/MPAFER/tiny.yaml --output-dir output/first DATASET.NUM_SHOTS 16

Several processes: ``torchrun --nproc-per-node 2 train.py ...``, same arguments; the batch is divided among them.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

# The repository's own `datasets`, `trainers` folders must never answer somebody's `import datasets`.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]

if TYPE_CHECKING:
    from yacs.config import CfgNode


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
    parser.add_argument("--eval-only", action="store_true", help="evaluate, do not train")
    parser.add_argument("--no-train", action="store_true", help="build everything, do not train")
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="config options as KEY VALUE pairs")
    return parser.parse_args()


def setup_cfg(args: argparse.Namespace) -> CfgNode:
    """Defaults, then data set, method, flags and KEY VALUE pairs, each over the one before."""
    import mpafer
    from mpafer.config import merge_file, merge_list
    from mpafer.engine.host import get_cfg_default

    cfg = get_cfg_default()
    mpafer.extend_cfg(cfg, baselines=True)
    for path in (args.dataset_config_file, args.config_file):
        if path:
            merge_file(cfg, path)
    cfg.SEED = args.seed
    flags = {
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
    cfg.merge_from_list([word for key, value in flags.items() if value for word in (key, value)])
    merge_list(cfg, args.opts)
    return cfg


def main(args: argparse.Namespace) -> None:
    import mpafer
    from mpafer.engine import distributed, host

    cfg = setup_cfg(args)
    distributed.init(cfg.USE_CUDA)
    mpafer.register(baselines=True)
    if cfg.SEED < 0:
        cfg.SEED = run_seed(cfg)
    cfg.freeze()
    host.set_random_seed(cfg.SEED)
    host.setup_logger(cfg.OUTPUT_DIR)
    logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(name)s: %(message)s", force=True)
    logging.getLogger("mpafer").setLevel(logging.INFO)
    ranks = distributed.world_size()
    print(f"** Config **\n{cfg}\n\n** Engine **\n{host.ENGINE} {host.ENGINE_VERSION}, processes: {ranks}\n")
    print(f"** System info **\n{host.collect_env_info()}\n")
    trainer = host.build_trainer(cfg)
    if args.eval_only:
        trainer.load_model(args.model_dir, epoch=args.load_epoch)
        trainer.test()
    elif not args.no_train:
        trainer.train()
    distributed.shutdown()


def run_seed(cfg: CfgNode) -> int:
    """The seed where none was given: drawn once, kept in OUTPUT_DIR, so that a resumed run has it again."""
    from mpafer.engine import distributed
    from mpafer.engine.builtin.utils import draw_run_seed

    path = Path(cfg.OUTPUT_DIR) / "seed.txt"
    seed = int(path.read_text()) if path.is_file() else draw_run_seed()
    if distributed.is_main():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{seed}\n")
    return distributed.from_main(seed)


def front_door() -> None:
    """Import the package once, so that a missing one or an engine that cannot be had is one line."""
    try:
        import mpafer  # noqa: F401
    except ModuleNotFoundError as error:
        repo = Path(__file__).resolve().parent
        raise SystemExit(
            f"error: {error}; install it into this Python: {sys.executable} -m pip install -e {repo}"
        ) from error
    except (ImportError, ValueError) as error:  # MPAFER_ENGINE
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    arguments = parse_args()
    front_door()
    from mpafer.errors import clear_errors

    with clear_errors():
        main(arguments)
