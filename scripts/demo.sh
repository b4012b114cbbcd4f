#!/usr/bin/env bash
# No download, a few minutes: zero-shot CLIP, CoOp and MPA-FER on drawn faces, with the tiny CLIP, one seed.
set -euo pipefail
OUT=${OUT:-output/demo}
SEEDS=${SEEDS:-1}
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

runs=()
for method in ZeroshotCLIP CoOp MPAFER; do
    run_seeds "$method" sketchfer tiny -1
    runs+=("$RUN_DIR")
done

echo
"$PYTHON" -m mpafer.report "${runs[@]}"
echo
echo "Each folder holds log.txt, results.json (metrics, confusion matrix, predictions) and the learned prompts: $OUT"
