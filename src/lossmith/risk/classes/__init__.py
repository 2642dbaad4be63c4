"""Probability losses whose classes lie on several ranks. Import from the files, not from this page."""
