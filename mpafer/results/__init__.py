"""Results of runs: one schema, statistics, tables and figures."""
