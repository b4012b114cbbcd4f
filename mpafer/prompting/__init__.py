"""Prompts, similarities, losses and teachers over a frozen CLIP. Torch only; no config enters here."""
