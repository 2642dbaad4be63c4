"""Floor 4: what people call. Import from the files, not from this page."""
