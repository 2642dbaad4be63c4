"""Floor 2: how prediction and target become u. Import from the files, not from this page."""
