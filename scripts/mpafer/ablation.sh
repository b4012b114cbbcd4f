#!/usr/bin/env bash
# Variants of MPA-FER side by side: ablation.sh NAME DATASET [CFG] [SHOTS] [KEY VALUE ...].
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh" ablate "$@"
