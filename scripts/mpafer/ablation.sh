#!/usr/bin/env bash
# Variants of MPA-FER side by side: runs what is missing, then a table, and a curve, from the results.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../many.sh"

if [ $# -lt 2 ]; then
    cat >&2 <<USAGE
usage: bash scripts/mpafer/ablation.sh NAME DATASET [CFG] [SHOTS] [KEY VALUE ...]

  NAME     $(names "$REPO/configs/ablations")
  DATASET  $(names "$REPO/configs/datasets")
  CFG      $(names "$REPO/configs/trainers/MPAFER")(default vit_b16; tiny for drawn faces)
  SHOTS    training images per class, -1 = all (default)
  KEY VALUE pairs change the config of every variant, for example OPTIM.MAX_EPOCH 20

From the environment:
  SPLIT  test, or val: evaluate on validation images, cut from training where there are none, to choose an option by
  JOBS   runs at once (1); each has its own GPU where there are that many, and its share of the processors
  DATA (default ./data), OUT (output), SEEDS ("1 2 3"), TAG, PYTHON

Runs are those of scripts/mpafer/main.sh, finished ones are skipped, half-finished ones resumed.
Tables: OUT/DATASET/ablation_NAME.
USAGE
    exit 2
fi

name=$1 dataset=$2
cfg=${3:-$(default_cfg "$dataset")} shots=${4:--1}
shift $(($# < 4 ? $# : 4))
case ${SPLIT:-test} in
    test) ;;
    val) set -- "$@" TEST.SPLIT val ;;
    *) fail "SPLIT is test or val, not '$SPLIT'" ;;
esac
run_folder MPAFER "$dataset" "$cfg" "$shots" "$@" # refuses before anything runs
stem=$(basename "$RUN_DIR")

plan=$("$PYTHON" -m mpafer.ablation "$name" --plan "$dataset" "$cfg" "$@") || exit
folders=() variants=()
while IFS= read -r line; do
    eval "set -- $line"
    for seed in $SEEDS; do queue "$1" "$seed" MPAFER "$dataset" "$cfg" "$shots" "${@:2}"; done
    folders+=("$RUN_DIR") variants+=("$1" "$RUN_DIR")
done <<<"$plan"
"$PYTHON" -m mpafer.ablation "$name" --note "$dataset/$stem" "${variants[@]}" || exit
run_queue

finished=()
for folder in "${folders[@]}"; do
    ! compgen -G "$folder/seed*/results.json" >/dev/null || finished+=("$folder")
done
status=0
if [ ${#finished[@]} -gt 0 ]; then
    echo
    "$PYTHON" -m mpafer.ablation "$name" "${finished[@]}" --out "$OUT/$dataset/ablation_$(basename "$name" .yaml)" \
        --stem "$stem" || status=$?
fi
tell_failures || status=1
exit "$status"
