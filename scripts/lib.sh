# Sourced by the scripts, each of which is a verb of the command `mpafer`: the words of `source` are its arguments.
#
# From the environment: PYTHON, the interpreter (python), and what `mpafer VERB --help` names: DATA, OUT, SEEDS, TAG, ...
REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[ -z "${VIRTUAL_ENV:-}" ] && [ -x "$REPO/.venv/bin/python" ] && PYTHON=${PYTHON:-$REPO/.venv/bin/python}  # make's own
PYTHON=${PYTHON:-python}
"$PYTHON" -c 'import mpafer.cli' 2>/dev/null || {
    echo "error: mpafer cannot be imported; install it into this Python: $PYTHON -m pip install -e $REPO" >&2
    exit 1
}
exec "$PYTHON" -m mpafer "$@"
