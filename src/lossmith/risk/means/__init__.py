"""Exact means over micro-batches and ranks."""
