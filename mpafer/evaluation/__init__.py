"""Predictions of a split, metrics, and the matching of classes by name."""
