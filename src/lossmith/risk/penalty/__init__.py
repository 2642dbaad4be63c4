"""Penalties, proximal steps, and what they leave of a network. Import from the files, not from this page."""
