"""Floor 5: what outlives one batch. Import from the files, not from this page."""
