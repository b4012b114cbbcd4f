# Many runs, JOBS at once: `source` it, `queue` the runs, `run_queue`, and `tell_failures` at the end.
# From the environment, beside what lib.sh takes: JOBS, the runs at once (1).
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

JOBS=${JOBS:-1}
[[ $JOBS =~ ^[1-9][0-9]*$ ]] || fail "JOBS is the number of runs at once, not '$JOBS'"
QUEUE=""

# queue NAME SEED TRAINER DATASET CFG SHOTS [KEY VALUE ...]: note a run, called NAME; refuses what cannot be run.
queue() {
    run_folder "${@:3}"
    QUEUE+="$(printf '%q\t' "$RUN_DIR/seed$2" "$@")"$'\n'
}

# run_queue: every run once, its output in its own folder; one that fails stops no other.
run_queue() {
    local processors share
    STATE=$(mktemp -d)
    trap 'rm -rf "$STATE"' EXIT
    awk -F '\t' 'NF && !seen[$1]++' <<<"$QUEUE" >"$STATE/queue"
    TOTAL=$(($(wc -l <"$STATE/queue")))
    GPUS=${CUDA_VISIBLE_DEVICES-$({ nvidia-smi -L 2>/dev/null || true; } | awk '{ printf "%s%d", (NR > 1 ? "," : ""), NR - 1 }')}
    processors=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
    share=$((processors / JOBS))
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((share > 0 ? share : 1))}
    export REPO DATA OUT TAG=${TAG:-} PYTHON JOBS GPUS STATE TOTAL
    export -f fail names slug run_folder run_state run_seeds one gpu
    seq "$TOTAL" | xargs -n 1 -P "$JOBS" bash -c 'one "$@"' one
}

# one NUMBER: a run of the queue; a failure is noted in $STATE.
one() {
    local number=$1 begin=$SECONDS slot dir name log state before said
    eval "set -- $(sed -n "$1p" "$STATE/queue")"
    dir=$1 name="[$number/$TOTAL] $2 seed$3" SEEDS=$3 log="$1/console.txt"
    shift 3
    state=$(run_state "$dir")
    echo "$name $state"
    [ -f "$dir/results.json" ] && return
    mkdir -p "$dir"
    before=$(cat "$log" 2>/dev/null | wc -l)
    for ((slot = 0; slot < JOBS; slot++)); do mkdir "$STATE/slot$slot" 2>/dev/null && break; done # the first free one
    if (
        [ ${#GPUS} -eq 0 ] || export CUDA_VISIBLE_DEVICES=$(gpu "$slot")
        run_seeds "$@"
    ) >>"$log" 2>&1; then
        echo "$name done in $((SECONDS - begin)) s"
    else
        echo "$name FAILED after $((SECONDS - begin)) s"
        said=$(tail -n "+$((before + 1))" "$log") # by this attempt
        { grep '^error: ' <<<"$said" || grep . <<<"$said" || echo "nothing was said"; } | tail -n 1 |
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

# tell_failures: name the runs that failed; false where there are some.
tell_failures() {
    compgen -G "$STATE/failed*" >/dev/null || return 0
    printf '\nfailed, with the last line of its log; start again to try these once more:\n' >&2
    cat "$STATE"/failed* >&2
    return 1
}
