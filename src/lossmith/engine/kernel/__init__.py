"""Kernel bodies: what happens to one element or one row, in words that every skeleton knows."""
