#!/usr/bin/env bash
# CoOp on one data set: main.sh DATASET [CFG] [SHOTS] [KEY VALUE ...]; without arguments it says more.
RUN_NAME=scripts/coop/main.sh exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" CoOp "$@"
