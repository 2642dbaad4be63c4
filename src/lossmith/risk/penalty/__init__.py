"""Penalties, proximal steps, and what they leave of a network."""
