#!/usr/bin/env bash
# One experiment over seeds, then mean ± sample standard deviation.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ $# -lt 2 ]; then
    cat >&2 <<USAGE
usage: bash ${RUN_NAME:-scripts/run.sh TRAINER} DATASET [CFG] [SHOTS] [KEY VALUE ...]

  DATASET  $(names "$REPO/configs/datasets")
  CFG      ${1:+$(names "$REPO/configs/trainers/$1")}(default vit_b16; tiny for drawn faces)
  SHOTS    training images per class, -1 = all (default)
  KEY VALUE pairs change the config, for example OPTIM.MAX_EPOCH 20

From the environment: DATA (default ./data), OUT (output), SEEDS ("1 2 3"), TAG, PYTHON.
Finished runs are skipped, half-finished ones resumed.
USAGE
    exit 2
fi

trainer=$1 dataset=$2
cfg=${3:-$(default_cfg "$dataset")} shots=${4:--1}
shift $(($# < 4 ? $# : 4))

SEEDS=$(seeds_of "$trainer")
run_seeds "$trainer" "$dataset" "$cfg" "$shots" "$@"
"$PYTHON" -m mpafer.report "$RUN_DIR"
