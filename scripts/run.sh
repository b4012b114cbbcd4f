#!/usr/bin/env bash
# A method on a data set: run.sh METHOD DATASET [CFG] [SHOTS] [KEY VALUE ...].
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh" run "$@"
