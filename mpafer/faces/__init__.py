"""Faces in photographs: found, brought upright as a run's training images are, and chosen. Nothing here needs torch."""
