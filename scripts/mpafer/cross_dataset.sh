#!/usr/bin/env bash
# Train on one data set, test on others: mean ± sample standard deviation over seeds, beside what was published.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

METHOD=${METHOD:-MPAFER} SHOTS=${SHOTS:--1}

if [ $# -lt 2 ]; then
    cat >&2 <<USAGE
usage: bash scripts/mpafer/cross_dataset.sh SOURCE TARGET [TARGET ...] [KEY VALUE ...]

  SOURCE   data set to train on; its finished runs, as scripts/run.sh names them, are taken as they are
  TARGET   data sets to test on: $(names "$REPO/configs/datasets")
  KEY VALUE pairs change the config of the training, but for
    TEST.CROSS_CLASSES keep|mask   may classes that TARGET lacks be answered? (keep)
    and DATASET.*, DATALOADER.TEST.* after a word --, which change that of the test

Images of classes that SOURCE does not have are dropped, and counted.

From the environment:
  METHOD   a name in configs/trainers (MPAFER); a method that learns nothing runs once
  CFG      its config (vit_b16; tiny for drawn faces)
  SHOTS    training images per class, -1 = all (-1)
  DATA (default ./data), OUT (output), SEEDS ("1 2 3"), TAG, PYTHON

What is finished is skipped. Results: OUT/cross_dataset/SOURCE/TARGET/METHOD/..., tables of all of them: in
OUT/cross_dataset/SOURCE.
USAGE
    exit 2
fi

source=$1 targets=() train=() test=()
shift
while [ $# -gt 0 ] && [[ ! $1 =~ ^[A-Z_]+(\.|$) && $1 != -- ]]; do # keys are in capitals
    [ -f "$REPO/configs/datasets/$1.yaml" ] || fail "unknown data set '$1'; known: $(names "$REPO/configs/datasets")"
    targets+=("$1")
    shift
done
[ ${#targets[@]} -gt 0 ] || fail "no data set to test on"
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    [ $# -gt 1 ] || fail "options come as KEY VALUE pairs; '$1' is left over"
    if [ "$1" = TEST.CROSS_CLASSES ]; then test+=("$1" "$2"); else train+=("$1" "$2"); fi
    shift 2
done
test+=("${@:2}")

cfg=${CFG:-$(default_cfg "$source")}
SEEDS=$(seeds_of "$METHOD")

run_seeds "$METHOD" "$source" "$cfg" "$SHOTS" ${train[@]+"${train[@]}"}
name=$(basename "$RUN_DIR")$(slug ${test[@]+"${test[@]}"})
for target in "${targets[@]}"; do
    for seed in $SEEDS; do
        run="$RUN_DIR/seed$seed" dir="$OUT/cross_dataset/$source/$target/$METHOD/$name/seed$seed"
        if [ "$dir/results.json" -nt "$run/results.json" ]; then
            echo "finished already, skipped: $dir"
            continue
        fi
        echo "tested: $dir"
        "$PYTHON" -m mpafer.cross "$run" --dataset "$target" --root "$DATA" --out "$dir" ${test[@]+"${test[@]}"}
    done
done

echo
"$PYTHON" -m mpafer.cross --table "$OUT/cross_dataset/$source" --out "$OUT/cross_dataset/$source"
