#!/usr/bin/env bash
# Train on one data set, test on others: cross_dataset.sh SOURCE TARGET ... [KEY VALUE ...].
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh" cross "$@"
