"""The loop: trainer, checkpoints, schedule, optimiser, log."""
