"""First derivatives without a graph, in as few torch operations as a call needs; any device."""
