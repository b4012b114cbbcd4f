#!/usr/bin/env bash
# KgCoOp on one data set: main.sh DATASET [CFG] [SHOTS] [KEY VALUE ...]; without arguments it says more.
RUN_NAME=scripts/kgcoop/main.sh exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" KgCoOp "$@"
