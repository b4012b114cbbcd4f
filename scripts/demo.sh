#!/usr/bin/env bash
# Zero-shot CLIP, CoOp and MPA-FER on drawn faces; no download.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh" demo "$@"
