"""Floor 1: what a loss is. Import from the files, not from this page."""
