"""Variants of MPA-FER side by side: `configs/ablations` says which, `python -m mpafer.ablation` makes their table."""
