"""Floor 3: formula × link × options → a plan → code. Import from the files, not from this page."""
