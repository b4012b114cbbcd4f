#!/usr/bin/env bash
# ZeroshotCLIP on a data set: main.sh DATASET [CFG] [SHOTS] [KEY VALUE ...].
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh" run ZeroshotCLIP "$@"
