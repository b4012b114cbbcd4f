"""A small engine with Dassl's interface, config tree and log lines, for machines without Dassl."""
