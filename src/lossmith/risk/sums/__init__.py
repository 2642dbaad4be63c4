"""Sums of losses and penalties: terms, inputs by name, weights."""
