# Shared by the scripts: `source` it. One experiment = one trainer, data set, config and number of shots, over seeds.
#
# From the environment:
#   DATA    folder of the data sets          (./data)
#   OUT     folder of the results            (output)
#   SEEDS   "1 2 3"
#   TAG     more to tell this run's folder from others by, for what the command line does not show
#   PYTHON  the interpreter                  (python)

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DATA=${DATA:-./data}
OUT=${OUT:-output}
SEEDS=${SEEDS:-1 2 3}
[ -z "${VIRTUAL_ENV:-}" ] && [ -x "$REPO/.venv/bin/python" ] && PYTHON=${PYTHON:-$REPO/.venv/bin/python}  # make's own
PYTHON=${PYTHON:-python}

fail() {
    echo "error: $*" >&2
    exit 2
}

# names FOLDER: the YAML files in a folder, without their ending, on one line
names() {
    local file
    for file in "$1"/*.yaml; do
        [ -e "$file" ] && basename "$file" .yaml
    done | tr '\n' ' '
}

# default_cfg DATASET: the config where none is named; the drawn faces have the tiny CLIP
default_cfg() {
    case $1 in sketchfer*) echo tiny ;; *) echo vit_b16 ;; esac
}

# seeds_of TRAINER: the seeds to run; where nothing learns all are alike, and the first is enough
seeds_of() {
    case $1 in Zeroshot*) echo "${SEEDS%% *}" ;; *) echo "$SEEDS" ;; esac
}

# slug KEY VALUE ...: the options as a part of a folder's name. `TRAINER.<METHOD>.` is dropped; whatever cannot stand in
# a name, or is too long, is replaced and told apart by a checksum.
slug() {
    local raw="" clean
    while [ $# -gt 0 ]; do
        raw+="_$(sed -E 's/^TRAINER\.[A-Z0-9]+\.//' <<<"$1")=$2"
        shift 2
    done
    clean=$(printf '%s' "$raw" | tr -c 'A-Za-z0-9._=+-' '-')
    if [ "$clean" != "$raw" ] || [ ${#clean} -gt 120 ]; then
        clean="${clean:0:100}_$(printf '%s' "$raw" | cksum | cut -d' ' -f1)"
    fi
    echo "$clean"
}

# run_folder TRAINER DATASET CFG SHOTS [KEY VALUE ...]: check them and set RUN_DIR, the folder of their seeds.
run_folder() {
    local trainer=$1 dataset=$2 cfg=$3 shots=$4
    shift 4
    [ -f "$REPO/configs/datasets/$dataset.yaml" ] ||
        fail "unknown data set '$dataset'; known: $(names "$REPO/configs/datasets")"
    [ -f "$REPO/configs/trainers/$trainer/$cfg.yaml" ] ||
        fail "unknown config '$cfg' of $trainer; known: $(names "$REPO/configs/trainers/$trainer")"
    [[ $shots =~ ^(-1|[1-9][0-9]*)$ ]] || fail "SHOTS is a number of images per class, or -1 for all, not '$shots'"
    [ $(($# % 2)) -eq 0 ] || fail "options come as KEY VALUE pairs; '${!#}' is left over"

    local images="${shots}shots"
    [ "$shots" = -1 ] && images=all
    RUN_DIR="$OUT/$dataset/$trainer/${cfg}_$images$(slug "$@")${TAG:+_$TAG}"
}

# run_state DIR: what running it will do
run_state() {
    if [ -f "$1/results.json" ]; then
        echo "finished already, skipped"
    elif compgen -G "$1/*/model.pth.tar-*" >/dev/null; then
        echo "resumed"
    else
        echo "started"
    fi
}

# run_seeds TRAINER DATASET CFG SHOTS [KEY VALUE ...]: train and test once per seed. Sets RUN_DIR, the seeds' parent.
run_seeds() {
    run_folder "$@"
    local trainer=$1 dataset=$2 cfg=$3 shots=$4 seed dir
    shift 4
    for seed in $SEEDS; do
        dir="$RUN_DIR/seed$seed"
        echo "$(run_state "$dir"): $dir"
        [ -f "$dir/results.json" ] && continue
        "$PYTHON" "$REPO/train.py" --root "$DATA" --seed "$seed" --trainer "$trainer" \
            --dataset-config-file "$REPO/configs/datasets/$dataset.yaml" \
            --config-file "$REPO/configs/trainers/$trainer/$cfg.yaml" --output-dir "$dir" \
            DATASET.NUM_SHOTS "$shots" "$@" || exit
        [ -f "$dir/results.json" ] || fail "the run ended without $dir/results.json"
    done
}
