"""Drawn cases against truths that share no code with the library."""
