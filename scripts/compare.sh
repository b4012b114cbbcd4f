#!/usr/bin/env bash
# Methods side by side on one data set.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh" compare "$@"
