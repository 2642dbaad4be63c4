"""The laboratory: the command line, and the experiments and reports behind its commands."""
