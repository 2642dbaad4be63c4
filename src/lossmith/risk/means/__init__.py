"""Exact means over micro-batches and ranks. Import from the files, not from this page."""
