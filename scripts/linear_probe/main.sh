#!/usr/bin/env bash
# A linear probe on one data set: main.sh DATASET [CFG] [SHOTS] [KEY VALUE ...]; without arguments it says more.
RUN_NAME=scripts/linear_probe/main.sh exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" LinearProbe "$@"
