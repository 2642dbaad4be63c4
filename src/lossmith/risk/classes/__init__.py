"""Probability losses whose classes lie on several ranks."""
