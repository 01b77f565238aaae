"""Heads: how a task's own tensors make an answer out of what the encoder leaves behind."""
