#!/usr/bin/env bash
# Methods side by side on one data set: runs what is missing, then tables, statistics and figures from all results.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

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

# one NUMBER TRAINER SHOTS SEED: a run, its output in its own folder; a failure is noted in $STATE and stops nothing
one() {
    local number=$1 trainer=$2 shots=$3 SEEDS=$4 slot begin=$SECONDS dir log name state
    eval "set -- $OPTIONS"
    run_folder "$trainer" "$DATASET" "$CFG" "$shots" "$@"
    dir="$RUN_DIR/seed$SEEDS" log="$RUN_DIR/seed$SEEDS/console.txt"
    name="[$number/$TOTAL] $trainer $([ "$shots" = -1 ] && echo all || echo "${shots}shots") seed$SEEDS"
    state=$(run_state "$dir")
    echo "$name $state"
    [ -f "$dir/results.json" ] && return
    mkdir -p "$dir"
    for ((slot = 0; slot < JOBS; slot++)); do mkdir "$STATE/slot$slot" 2>/dev/null && break; done # the first free one
    if (
        [ ${#GPUS} -eq 0 ] || export CUDA_VISIBLE_DEVICES=$(gpu "$slot")
        run_seeds "$trainer" "$DATASET" "$CFG" "$shots" "$@"
    ) >>"$log" 2>&1; then
        echo "$name done in $((SECONDS - begin)) s"
    else
        echo "$name FAILED after $((SECONDS - begin)) s"
        { grep '^error: ' "$log" || grep . "$log"; } | tail -n 1 |
            sed "s|^|$name: $log: |" >"$STATE/failed$(printf %05d "$number")"
    fi
    rmdir "$STATE/slot$slot"
}

# gpu SLOT: the GPU of a slot, of those in $GPUS
gpu() {
    local all
    IFS=, read -ra all <<<"$GPUS"
    echo "${all[$1 % ${#all[@]}]}"
}

# default_methods: every trainer with this config, ours first
default_methods() {
    local file
    for file in "$REPO"/configs/trainers/{MPAFER,*}/"$CFG.yaml"; do
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

case $DATASET in sketchfer*) default=tiny ;; *) default=vit_b16 ;; esac
CFG=${CFG:-$default} JOBS=${JOBS:-1} METHODS=${METHODS:-} REFERENCE=${REFERENCE:-MPAFER}
[[ $JOBS =~ ^[1-9][0-9]*$ ]] || fail "JOBS is the number of runs at once, not '$JOBS'"
[ -n "$METHODS" ] || METHODS=$(default_methods | tr '\n' ' ')
[ -n "${METHODS// /}" ] || fail "no method has a config '$CFG'"

runs=""
for shots in "${numbers[@]}"; do
    for method in $METHODS; do
        run_folder "$method" "$DATASET" "$CFG" "$shots" "$@" # refuses before anything runs
        case $method in
            Zeroshot*) runs+="$method -1 ${SEEDS%% *}"$'\n' ;;
            *) for seed in $SEEDS; do runs+="$method $shots $seed"$'\n'; done ;;
        esac
    done
done
runs=$(awk 'NF && !seen[$0]++ { print ++number, $0 }' <<<"$runs") # each once

GPUS=${CUDA_VISIBLE_DEVICES-$({ nvidia-smi -L 2>/dev/null || true; } | awk '{ printf "%s%d", (NR > 1 ? "," : ""), NR - 1 }')}
processors=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
share=$((processors / JOBS))
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((share > 0 ? share : 1))}
STATE=$(mktemp -d)
trap 'rm -rf "$STATE"' EXIT
TOTAL=$(($(wc -l <<<"$runs"))) OPTIONS=$(printf '%q ' "$@")
[ $# -gt 0 ] || OPTIONS=""
export REPO DATA OUT TAG=${TAG:-} PYTHON DATASET CFG JOBS GPUS STATE TOTAL OPTIONS
export -f fail names slug run_folder run_state run_seeds one gpu

xargs -n 4 -P "$JOBS" bash -c 'one "$@"' one <<<"$runs"

echo
status=0
"$PYTHON" -m mpafer.compare "$OUT/$DATASET" --out "$OUT/$DATASET/comparison" --reference "$REFERENCE" \
    --shots "${numbers[@]}" --cfg "$CFG$(slug "$@")${TAG:+_$TAG}" || status=$?
if compgen -G "$STATE/failed*" >/dev/null; then
    printf '\nfailed, with the last line of its log; start again to try these once more:\n' >&2
    cat "$STATE"/failed* >&2
    status=1
fi
exit "$status"
