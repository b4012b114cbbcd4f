#!/usr/bin/env bash
# Zero-shot CLIP with descriptions on one data set: main.sh DATASET [CFG] [SHOTS] [KEY VALUE ...]; without arguments it says more.
RUN_NAME=scripts/zsdescriptions/main.sh exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" ZeroshotDescriptions "$@"
