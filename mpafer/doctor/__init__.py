"""Looks a data set over before a day of training on it: `python -m mpafer.datasets check NAME --root DATA`.

Reads whatever the loaders read, for every registered data set; a file a concern, from the bottom: images,
duplicates, subject (what the loader says), findings, report.
"""
