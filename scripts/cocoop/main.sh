#!/usr/bin/env bash
# CoCoOp on one data set: main.sh DATASET [CFG] [SHOTS] [KEY VALUE ...]; without arguments it says more.
RUN_NAME=scripts/cocoop/main.sh exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" CoCoOp "$@"
