"""The CPU engine: vector mathematics, loop skeletons, compiler and threads."""
