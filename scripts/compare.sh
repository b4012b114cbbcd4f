#!/usr/bin/env bash
# Methods side by side on one data set: runs what is missing, then tables, statistics and figures from all results.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/many.sh"

usage() {
    cat >&2 <<USAGE
usage: bash scripts/compare.sh DATASET [SHOTS ...] [KEY VALUE ...]

  DATASET  $(names "$REPO/configs/datasets")
  SHOTS    numbers of training images per class, -1 = all (default 16 -1)
  KEY VALUE pairs change the config of every method, for example OPTIM.MAX_EPOCH 20

From the environment:
  METHODS    names in configs/trainers (default: all that have CFG; MPAFER first)
  CFG        their config (vit_b16; tiny for drawn faces)
  SEEDS      "1 2 3"; methods that learn nothing run once
  JOBS       runs at once (1); each has its own GPU where there are that many, and its share of the processors
  REFERENCE  the method that the others are compared with (MPAFER)
  DATA (default ./data), OUT (output), TAG, PYTHON

Finished runs are skipped, half-finished ones resumed. Tables and figures: OUT/DATASET/comparison.
USAGE
    exit 2
}

# default_methods: every trainer with this config, ours first
default_methods() {
    local file
    for file in "$REPO"/configs/trainers/{MPAFER,[!_]*}/"$CFG.yaml"; do
        [ ! -e "$file" ] || basename "$(dirname "$file")"
    done | awk '!seen[$0]++'
}

[ $# -gt 0 ] || usage
DATASET=$1
shift
numbers=()
while [[ ${1:-} =~ ^-?[0-9]+$ ]]; do
    numbers+=("$1")
    shift
done
[ ${#numbers[@]} -gt 0 ] || numbers=(16 -1)

CFG=${CFG:-$(default_cfg "$DATASET")} METHODS=${METHODS:-} REFERENCE=${REFERENCE:-MPAFER}
[ -n "$METHODS" ] || METHODS=$(default_methods | tr '\n' ' ')
[ -n "${METHODS// /}" ] || fail "no method has a config '$CFG'"
[[ " $* " != *" TEST.SPLIT val "* || $METHODS != *Zeroshot* ]] ||
    fail "validation images differ by seed, and Zeroshot* runs once: name METHODS without it to compare on TEST.SPLIT val"

for shots in "${numbers[@]}"; do
    name=$([ "$shots" = -1 ] && echo all || echo "${shots}shots")
    for method in $METHODS; do
        run_folder "$method" "$DATASET" "$CFG" "$shots" "$@" # refuses, zero-shot with wrong SHOTS too
        case $method in
            Zeroshot*) queue "$method all" "$(seeds_of "$method")" "$method" "$DATASET" "$CFG" -1 "$@" ;;
            *) for seed in $SEEDS; do queue "$method $name" "$seed" "$method" "$DATASET" "$CFG" "$shots" "$@"; done ;;
        esac
    done
done
run_queue

echo
status=0
"$PYTHON" -m mpafer.compare "$OUT/$DATASET" --out "$OUT/$DATASET/comparison" --reference "$REFERENCE" \
    --shots "${numbers[@]}" --cfg "$CFG$(slug "$@")${TAG:+_$TAG}" || status=$?
tell_failures || status=1
exit "$status"
