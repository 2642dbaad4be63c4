"""Sums of losses and penalties: terms, inputs by name, weights. Import from the files, not from this page."""
